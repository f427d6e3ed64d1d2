"""One encoder's row: what was measured, and the file that stores it beside the run.

In: measurements. Out: `row.json`, which is found again as long as source and
collection are the same: the digests in it cover what is known of the items
without opening a picture, and all that is stored.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic

from cbir.collection.interface import Collection
from cbir.core.atomic import write_atomic
from cbir.core.stored import read_object
from cbir.evaluate.compare.judge import S
from cbir.ingest.sources.source import STAMP, Item

_ROW = "row.json"
#: Raised when something else is measured, so that no row of before is shown beside one of now.
_FORMAT = 2


#: What a row was measured on: `source`, `stored`.
Digests = Mapping[str, str]


@dataclass(frozen=True)
class Row(Generic[S]):
    """The measurements of one encoder.

    Attributes
    ----------
    encoder : str
        In text form, as the user wrote it.
    collection, fingerprint : str
    recipe : Mapping
        What it was learned by, seed included.
    points : int
        Images in the collection.
    values : int
        In a feature.
    train_seconds : float or None
        None for a model whose metadata do not say.
    images_per_second : float
        Encoded, pixels at hand, on every core.
    scores : Scores, or Shares where there are no labels
    folder : Path
        Run, scores and pictures as `evaluate` or `evaluate_copies` stores them.
    """

    encoder: str
    collection: str
    fingerprint: str
    recipe: Mapping[str, Any]
    points: int
    values: int
    train_seconds: float | None
    images_per_second: float
    scores: S
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**asdict(self), "bytes_a_point": self.bytes_a_point, "folder": str(self.folder)}

    def stored_as(self) -> str:
        """Return the hash of the file that it is stored in."""
        return hashlib.sha256((self.folder / _ROW).read_bytes()).hexdigest()

    @property
    def bytes_a_point(self) -> int:
        """Size of the vector as it is stored, float32."""
        return 4 * self.values


def digest_of(items: Iterable[Item], queries: Iterable[Item]) -> str:
    """Hash which images there are, their labels, and the stamps of their files; opens none."""
    digest = hashlib.sha256()
    for part in (items, queries):
        for item in part:
            stamp = [item.payload.get(name) for name in STAMP]
            digest.update(f"{item.uri} {item.label!r} {stamp}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()[:32]


def digest_of_stored(collection: Collection) -> str:
    """Hash what is stored, as far as scores depend on it: ids, features, labels, and where the pictures are."""
    digest = hashlib.sha256()
    for page in collection.scroll(fields=("label", "source", "uri")):
        facts = [[payload.get(name) for name in ("label", "source", "uri")] for payload in page.payloads]
        digest.update(json.dumps([page.ids, facts]).encode())
        digest.update(page.vectors.astype("<f4").tobytes())
    return digest.hexdigest()[:32]


def store_row(row: Row[Any], digests: Digests) -> None:
    """Write a row, last of all: where there is a row, the rest of its folder is complete."""
    document = {"format": _FORMAT, **asdict(row), "digests": digests}
    del document["folder"]
    write_atomic(row.folder / _ROW, (json.dumps(document, indent=2) + "\n").encode())


def find_row(folder: Path, digests: Digests, read: Callable[[Mapping[str, Any]], S]) -> Row[S] | None:
    """Read a row, its scores by `read`; None if there is none, or it is of other digests."""
    try:
        stored = read_object(folder / _ROW)
        if stored.pop("format") != _FORMAT or stored.pop("digests") != digests:
            return None
        scores = read(stored.pop("scores"))
        return Row(**stored, scores=scores, folder=folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
