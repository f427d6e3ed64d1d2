"""What the server lends to commands that run beside it: its collections and its encoders (`cbir.collection.lent`)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.answer import search_for_others
from cbir.collection import home
from cbir.core.errors import CbirError
from cbir.model.errors import ModelError
from cbir.serve.warned import heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cbir.collection.interface import Collection
    from cbir.serve.state import State


class Keeper:
    """Lends what the server holds; see `cbir.collection.lent.lender.Keeper` for the verbs.

    Parameters
    ----------
    state : State
    """

    def __init__(self, state: State) -> None:
        self._state = state
        #: Who borrows waits for the collection in its own process, where it can say so.
        self._engine = home.embedded_engine(state.library.settings, timeout=0)

    def open(self, name: str) -> Collection:
        """Return a collection of the borrower's own, which shares the points with all others of this process."""
        opened = self._engine.open(name)
        with suppress(CbirError):  # kept open for the next one; its model may be missing
            _ = self._state.library.searcher(name).collection
        return opened

    def search(
        self, name: str, arguments: list[str], typed: dict[str, str], options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Search as `cbir.answer.asked_of_server` asks; None if something is odd that whoever asked has to tell."""
        with heard() as warned:
            found = search_for_others(self._state.library.searcher(name), arguments, typed, options)
        return None if warned else found

    def let_go(self, name: str) -> AbstractContextManager[None]:
        """Close a collection, and leave it closed while the block runs."""
        return self._state.library.let_go(name)

    def hearing(self) -> AbstractContextManager[Callable[[dict[str, Any]], None]]:
        """Yield what takes the messages of an ingest, so that pages show how far it is."""
        return self._state.ingesting.hearing()

    def encode(self, name: str, fingerprint: str, pixels: np.ndarray) -> np.ndarray:
        """Encode with a collection's encoder, which may have to be loaded first."""
        searcher = self._state.library.searcher(name)
        shape = searcher.bundle.preprocessing.shape
        if searcher.bundle.fingerprint != fingerprint or pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            raise _another_encoder(name)
        encoding = self._state.encoding(searcher)
        return np.stack([encoding.encode(each) for each in pixels]) if len(pixels) else searcher.encoder.encode(pixels)

    def encode_words(self, name: str, fingerprint: str, texts: list[str]) -> tuple[np.ndarray, list[str]]:
        """Encode with a collection's text encoder, which may have to be loaded first; return what it warns of."""
        searcher = self._state.library.searcher(name)
        if searcher.bundle.fingerprint != fingerprint:
            raise _another_encoder(name)
        with heard() as warned:
            return searcher.text_encoder.encode(texts), warned


def _another_encoder(name: str) -> ModelError:
    return ModelError(f"collection '{name}' has another encoder")
