"""What workers find in any order, twice, or store and do not live to tell: the points are those of one process.

The workers are real, and this process is all of them: Ray's part is in test_on_ray.py.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.ingest.distributed import loop
from cbir.ingest.distributed.cluster import Machines, Room
from cbir.ingest.distributed.parcel import Done, unpacked
from cbir.ingest.distributed.workers import Reader, Storer
from cbir.ingest.shard import Work
from tests.conftest import picture


@dataclass
class Shuffled(loop.OnRay):
    """Reads all parcels before the first is stored, and stores them from the last to the first.

    Of `unheard` of them, the storer dies before it tells, and another does them again.
    """

    unheard: int = 0

    def __post_init__(self) -> None:
        super().__init__(Machines())

    def __enter__(self) -> "Shuffled":
        return self

    def _done(self, work: Work) -> Iterator[Done]:
        task = self._task(work)
        tables = [table.to_pydict() for table in self._blocks(work, Room(4, 4, 1.0))]
        reader, storer = Reader(task), Storer(task)
        read = [row for table in reversed(tables) for row in reader(table)]
        for number, row in enumerate(read):
            (done,) = unpacked(storer(row))
            if number >= self.unheard:
                yield done
        for table in reversed(tables[len(tables) - self.unheard :]):
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


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two classes of 30 pictures, with copies in both, and two files that are no pictures."""
    folder = tmp_path / "album"
    for number, label in enumerate(("a", "b")):
        (folder / label).mkdir(parents=True)
        for index in range(30):
            picture(100 * number + index).save(folder / label / f"{index:02}.png")
    for name in ("a/00.png", "a/01.png", "b/29.png"):
        shutil.copy(folder / name, folder / "b" / f"copy of {name.replace('/', ' ')}")
    shutil.copy(folder / "b" / "29.png", folder / "a" / "so is this.png")
    for name in ("a/bad.png", "b/as bad.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return folder


@pytest.mark.parametrize("unheard", [0, 2])
def test_the_points_are_those_of_one_process(home: Path, album: Path, monkeypatch: pytest.MonkeyPatch, unheard: int):
    monkeypatch.setenv("CBIR_PROCESSES", "1")  # as readers set it, and to put it back

    def both(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        here = cbir.ingest(album, collection="here", encoder="pixels", **options)
        with monkeypatch.context() as patch:
            patch.setattr("cbir.verbs.ingest._loop", lambda *_, **__: Shuffled(unheard))
            there = cbir.ingest(album, collection="there", encoder="pixels", on="ray", **options)
        assert points(home, "there") == points(home, "here")
        assert {reason for _, reason in there.unreadable} == {reason for _, reason in here.unreadable}
        return told(here), told(there)

    here, there = both()
    assert there == here
    assert (here["ingested"], here["copies"], here["skipped"]) == (60, 4, 2)

    # Moved, touched, replaced, new, a copy of what is stored, and copies of what is new.
    (album / "a" / "00.png").rename(album / "b" / "moved.png")
    os.utime(album / "a" / "02.png")
    picture(1000).save(album / "a" / "03.png")
    shutil.copy(album / "a" / "04.png", album / "b" / "another.png")
    for name in ("a/new.png", "b/new.png", "b/newer.png"):
        picture(1001).save(album / name)
    (album / "b" / "05.png").unlink()
    here, there = both(prune=True)
    assert there == here
    assert (here["ingested"], here["moved"], here["pruned"]) == (2, 1, 1)
