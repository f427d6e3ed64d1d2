"""What was measured of a collection: its latest evaluation and run of edited copies, and comparisons of its source.

In: the folder of runs, and what a collection remembers. Out: a `Measured`. A run of another collection, or of an
encoder that the collection was filled by before, is never among them; a folder that cannot be read is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.core.disk import entries
from cbir.core.names import folded
from cbir.core.stored import read_object

if TYPE_CHECKING:
    from cbir.collection.metadata import Metadata

_MADE = re.compile(r"-(\d{8}-\d{6}-\d{6})$")
_COMPARISON = re.compile(r"compare-(.+)-[0-9a-f]{12}")
#: What `scores.json` holds of a run of each kind; one that does not is passed over.
_LABELS = {"lrap", "precision_at", "recall_at", "map", "ann_recall_at_10", "queries", "database", "run"}
_COPIES = {"rows", "mean", "pictures", "database", "run"}
#: Bytes of a table at the most.
_TABLE = 1_000_000
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class Found:
    """A stored run.

    Attributes
    ----------
    folder : Path
    made : datetime
    scores : dict
        Its `scores.json`.
    """

    folder: Path
    made: datetime
    scores: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of a comparison: its headings and rows."""

    headings: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Compared:
    """A stored comparison of encoders.

    Attributes
    ----------
    folder : Path
    made : datetime
    source : str
    tables : tuple of Table
    """

    folder: Path
    made: datetime
    source: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Measured:
    """What was measured of a collection, as it is now: the latest of each kind; comparisons, the latest first."""

    labels: Found | None
    copies: Found | None
    comparisons: tuple[Compared, ...]

    def folders(self) -> list[Path]:
        """Return the folders of all of it."""
        return [each.folder for each in (self.labels, self.copies, *self.comparisons) if each is not None]


def measured(runs: Path, name: str, metadata: Metadata) -> Measured:
    """Find what was measured of a collection.

    Parameters
    ----------
    runs : Path
    name : str
        The collection's.
    metadata : Metadata
    """
    folders = [each for each in entries(runs) if each.is_dir() and not each.is_symlink()]
    found = sorted(_found(folders, name, metadata.fingerprint), key=lambda each: each.made)
    compared = sorted(_compared(folders, name, metadata), key=lambda each: each.made, reverse=True)
    return Measured(
        labels=next((each for each in reversed(found) if each.scores.keys() >= _LABELS), None),
        copies=next((each for each in reversed(found) if each.scores.keys() >= _COPIES), None),
        comparisons=tuple(compared),
    )


def _found(folders: list[Path], name: str, fingerprint: str) -> Iterator[Found]:
    for folder in folders:
        try:
            scores = read_object(folder / "scores.json")
            same = folded(scores["collection"]) == folded(name) and scores["fingerprint"] == fingerprint
            if same and not scores.get("distortion"):
                yield Found(folder, _made(folder, "scores.json"), scores)
        except _UNREADABLE:
            continue


def _compared(folders: list[Path], name: str, metadata: Metadata) -> Iterator[Compared]:
    """Yield comparisons of a source that the collection was filled from, or was made for."""
    own = {folded(Path(source).name) for source in metadata.sources}
    for folder in folders:
        match = _COMPARISON.fullmatch(folder.name)
        if match is None:
            continue
        source = folded(match[1])
        if source not in own and not folded(name).startswith(f"{source}-"):
            continue
        try:
            with (folder / "table.md").open(encoding="utf-8") as file:
                tables = tuple(_tables(file.read(_TABLE)))
            yield Compared(folder, _made(folder, "table.md"), match[1], tables)
        except _UNREADABLE:
            continue


def _made(folder: Path, file: str) -> datetime:
    """Return when a run was made, by its folder's name where that says it: a copied home has files of today."""
    if match := _MADE.search(folder.name):
        return datetime.strptime(match[1], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    return datetime.fromtimestamp((folder / file).stat().st_mtime, UTC)


def _tables(markdown: str) -> Iterator[Table]:
    """Read the tables of a document in Markdown."""
    lines: list[list[str]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("| "):
            cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
            lines.append([cell.strip().replace(r"\|", "|") for cell in cells])
        elif lines:
            yield Table(lines[0], lines[2:])
            lines = []
