"""A lender of embedded collections in the process of the tests, from which they borrow as if it were another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir.collection.embedded.card import read_metadata
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.lent import place
from cbir.collection.lent.lender import lending
from cbir.collection.lent.place import lends_here


class Holder:
    """Opens collections in this process, and keeps none."""

    def __init__(self, collections: Path) -> None:
        self.collections = collections
        self.gone: list[str] = []
        self.opened: list[str] = []
        self.heard: list[dict[str, Any]] = []

    def open(self, name: str) -> EmbeddedCollection:
        folder = self.collections / name
        metadata, shard = read_metadata(folder)
        self.opened.append(name)
        return EmbeddedCollection(name, folder, shard, metadata)

    @contextmanager
    def let_go(self, name: str) -> Iterator[None]:
        self.gone.append(name)
        yield

    @contextmanager
    def hearing(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        yield self.heard.append

    def search(
        self, name: str, arguments: list[str], typed: dict[str, str], options: dict[str, Any]
    ) -> dict[str, Any] | None:
        return {"name": name, "arguments": arguments, "options": options}

    def encode(self, name: str, fingerprint: str, pixels: np.ndarray) -> np.ndarray:
        assert (name, fingerprint) == ("points", "0123456789abcdef")
        return pixels.reshape(len(pixels), -1)[:, :4].astype(np.float32)

    def encode_words(self, name: str, fingerprint: str, texts: list[str]) -> tuple[np.ndarray, list[str]]:
        assert (name, fingerprint) == ("points", "0123456789abcdef")
        return np.array([[len(text)] * 4 for text in texts], np.float32), [text for text in texts if len(text) > 9]


@contextmanager
def lent(collections: Path) -> Iterator[Holder]:
    """Lend what is in a folder while the block runs, also to this process."""
    holder = Holder(collections)
    with pytest.MonkeyPatch.context() as patch, lending(collections, holder) as lends:
        assert lends
        assert lends_here(collections)
        patch.setattr(place, "_own", set())
        yield holder
