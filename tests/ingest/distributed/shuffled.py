"""Workers in this process, in an unlikely order, as Ray may have any; and what an ingest has stored and told."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.ingest.distributed import loop
from cbir.ingest.distributed.cluster import Machines, Room
from cbir.ingest.distributed.parcel import Done, Trouble, unpacked
from cbir.ingest.distributed.workers import Reader, Storer
from cbir.ingest.shard import Work


@dataclass
class Shuffled(loop.OnRay):
    """Reads all parcels but the first before any is stored, and stores them; then it does the first.

    Attributes
    ----------
    unheard : int
        Of so many, the storer dies before it tells, and another does them again.
    backwards : bool
        From the last to the first.
    """

    unheard: int = 0
    backwards: bool = True

    def __post_init__(self) -> None:
        super().__init__(Machines())

    def __enter__(self) -> "Shuffled":
        return self

    def _done(self, work: Work) -> Iterator[Done | Trouble]:
        task = self._task(work)
        first, *tables = [table.to_pydict() for table in self._blocks(work, Room(4, 4, 1.0))]
        if self.backwards:
            tables.reverse()
        reader, storer = Reader(task), Storer(task)
        read = [row for table in tables for row in reader(table)]
        for number, row in enumerate(read):
            (done,) = unpacked(storer(row))
            if number >= self.unheard:
                yield done
        for table in [first, *tables[: self.unheard]]:
            yield from (done for row in reader(table) for done in unpacked(storer(row)))


def points(home: Path, name: str) -> dict[str, tuple[list[float], dict[str, Any]]]:
    with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
        return {
            identity: (vector.tolist(), {**payload, "ingested_at": ""})
            for page in collection.scroll()
            for identity, vector, payload in zip(page.ids, page.vectors, page.payloads, strict=True)
        }


def told(report: Any) -> dict[str, Any]:
    """Return what a report says of the pictures."""
    names = (
        "points",
        "found",
        "accounted",
        "ingested",
        "unchanged",
        "updated",
        "moved",
        "copies",
        "conflicting",
        "gone",
    )
    return {name: getattr(report, name) for name in (*names, "skipped", "pruned", "warned", "relabelled")}
