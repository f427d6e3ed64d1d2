"""What workers find in any order, twice, or store and do not live to tell: the points are those of one process.

The workers are real, and this process is all of them: Ray's part is in test_on_ray.py.
"""

import os
import shutil
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from tests.conftest import picture, saved_classes
from tests.ingest.distributed.shuffled import Shuffled, points, told


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two classes of 30 pictures, with copies in both, and two files that are no pictures."""
    folder = saved_classes(tmp_path / "album", ("a", "b"), 30)
    for name in ("a/00.png", "a/01.png", "b/29.png"):
        shutil.copy(folder / name, folder / "b" / f"copy of {name.replace('/', ' ')}")
    shutil.copy(folder / "b" / "29.png", folder / "a" / "so is this.png")
    for name in ("a/bad.png", "b/as bad.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return folder


@pytest.mark.parametrize(("unheard", "backwards"), [(0, True), (2, True), (0, False)])
def test_the_points_are_those_of_one_process(
    home: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unheard: int, backwards: bool
):
    monkeypatch.setenv("CBIR_PROCESSES", "1")  # as readers set it, and to put it back

    def both(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        here = cbir.ingest(album, collection="here", encoder="pixels", **options)
        with monkeypatch.context() as patch:
            patch.setattr("cbir.verbs.ingest._loop", lambda *_, **__: Shuffled(unheard, backwards))
            there = cbir.ingest(album, collection="there", encoder="pixels", on="ray", **options)
        assert points(home, "there") == points(home, "here")
        assert {reason for _, reason in there.unreadable} == {reason for _, reason in here.unreadable}
        return told(here), told(there)

    # The first of two copies has neither a label nor a note, which the other has.
    rows = [f"{label}/{index:02}.png,{label},{index}" for label in "ab" for index in range(1, 30)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["file,label,note", *rows, "b/copy of a 00.png,b,copied"]))
    here, there = both(labels=str(table))
    assert there == here
    assert (here["ingested"], here["copies"], here["skipped"]) == (60, 4, 2)

    # What other tools say of a picture stays when the file is replaced.
    for name in ("here", "there"):
        with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
            (page,) = collection.scroll(where={"uri": ["a/03.png"]})
            collection.replace_payloads(page.ids, [{**page.payloads[0], "rated": 5}])

    # Moved, touched, replaced, new, a copy of what is stored, and copies of what is new.
    (album / "a" / "00.png").rename(album / "b" / "moved.png")
    os.utime(album / "a" / "02.png")
    picture(1000).save(album / "a" / "03.png")
    shutil.copy(album / "a" / "04.png", album / "b" / "another.png")
    for name in ("a/new.png", "b/new.png", "b/newer.png"):
        picture(1001).save(album / name)
    (album / "b" / "copy of a 01.png").unlink()
    here, there = both(labels=str(table), prune=True)
    assert there == here
    assert [payload for _, payload in points(home, "there").values() if payload.get("rated") == 5]
    assert (here["ingested"], here["moved"], here["pruned"]) == (2, 1, 1)


def test_shards_are_read_by_workers(home: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    shards = tmp_path / "shards"
    for kind in ("tars", "tables"):
        (shards / kind).mkdir(parents=True)
    for number, label in enumerate(("a", "b")):
        files = sorted((album / label).glob("*.png"))
        with tarfile.open(shards / "tars" / f"{number:05}.tar", "w") as tar:
            for file in files:
                tar.add(file, f"{file.stem}.png")
        columns = {"key": [file.stem for file in files], "jpg": [file.read_bytes() for file in files]}
        pq.write_table(pa.table(columns), shards / "tables" / f"{number:05}.parquet", row_group_size=10)
    monkeypatch.setenv("CBIR_PROCESSES", "1")
    for kind in ("tars", "tables"):
        here = cbir.ingest(shards / kind, collection=f"{kind}-here", encoder="pixels")
        with monkeypatch.context() as patch:
            patch.setattr("cbir.verbs.ingest._loop", lambda *_, **__: Shuffled())
            there = cbir.ingest(shards / kind, collection=f"{kind}-there", encoder="pixels", on="ray")
        assert told(there) == told(here)
        assert (here.ingested, here.copies, here.skipped) == (60, 4, 2)
        assert points(home, f"{kind}-there") == points(home, f"{kind}-here")
