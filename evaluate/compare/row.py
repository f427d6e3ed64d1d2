"""One encoder's row: what was measured, and the file that stores it beside the run.

In: measurements. Out: `row.json`, which is found again as long as the source is
the same: the digest in it covers what is known of the items without opening a
picture.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cbir.core.atomic import write_atomic
from cbir.evaluate.scores import Scores
from cbir.ingest.sources.source import STAMP, Item

_ROW = "row.json"


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


def store_row(row: Row, digest: str) -> None:
    """Write a row, last of all: where there is a row, the rest of its folder is complete."""
    document = {**asdict(row), "source": digest}
    del document["folder"]
    write_atomic(row.folder / _ROW, (json.dumps(document, indent=2) + "\n").encode())


def find_row(folder: Path, digest: str) -> Row | None:
    """Read a row; None if there is none, or it is of another digest."""
    try:
        stored = json.loads((folder / _ROW).read_text(encoding="utf-8"))
        if stored.pop("source") != digest:
            return None
        scores = stored.pop("scores")
        # JSON's keys are texts, depths are numbers.
        curves = {name: {int(n): x for n, x in at.items()} for name, at in scores.items() if isinstance(at, dict)}
        return Row(**stored, scores=Scores(**{**scores, **curves}), folder=folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
