"""One encoder's row: what was measured, and the file that stores it beside the run.

In: measurements. Out: `row.json`, which is found again as long as source and
collection are the same: the digests in it cover what is known of the items
without opening a picture, and all that is stored.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cbir.collection.interface import Collection
from cbir.core.atomic import write_atomic
from cbir.evaluate.scores import SCORES, Means, Scores
from cbir.ingest.sources.source import STAMP, Item

_ROW = "row.json"
#: Raised when something else is measured, so that no row of before is shown beside one of now.
_FORMAT = 2


#: What a row was measured on: `source`, `stored`.
Digests = Mapping[str, str]


@dataclass(frozen=True)
class Row:
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
    scores : Scores
    folder : Path
        Run, scores and curve as `evaluate` stores them.
    """

    encoder: str
    collection: str
    fingerprint: str
    recipe: Mapping[str, Any]
    points: int
    values: int
    train_seconds: float | None
    images_per_second: float
    scores: Scores
    folder: Path

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


def store_row(row: Row, digests: Digests) -> None:
    """Write a row, last of all: where there is a row, the rest of its folder is complete."""
    document = {"format": _FORMAT, **asdict(row), "digests": digests}
    del document["folder"]
    write_atomic(row.folder / _ROW, (json.dumps(document, indent=2) + "\n").encode())


def find_row(folder: Path, digests: Digests) -> Row | None:
    """Read a row; None if there is none, or it is of other digests."""
    try:
        stored = json.loads((folder / _ROW).read_text(encoding="utf-8"))
        if stored.pop("format") != _FORMAT or stored.pop("digests") != digests:
            return None
        scores = _by_depth(stored.pop("scores"))
        answerable = scores.pop("answerable")
        some = None if answerable is None else Means(**_by_depth(answerable))
        return Row(**stored, scores=Scores(**scores, answerable=some), folder=folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _by_depth(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores as they were before they were JSON, whose keys are texts; depths are numbers."""
    return {
        name: {int(n): x for n, x in value.items()} if name in SCORES and SCORES[name].curve else value
        for name, value in scores.items()
    }
