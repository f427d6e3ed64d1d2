"""Archives, lists, addresses and several of them, ingested: one picture is one point, wherever it was named."""

import io
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.metadata import Metadata
from cbir.ingest.report import Report
from tests.commands import run
from tests.conftest import picture
from tests.ingest.sources.test_addresses import server  # noqa: F401 - a fixture
from tests.ingest.sources.test_archive import png, tarred, zipped


def counts(report: Report) -> dict[str, int]:
    names = ("points", "ingested", "unchanged", "updated", "moved", "copies", "skipped", "gone", "pruned")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def metadata(home: Path, name: str) -> Metadata:
    return EmbeddedEngine(home / "collections").metadata(name)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_PROCESSES", "0")


def test_a_zip_is_ingested_kept_in_step_and_searched(home: Path, tmp_path: Path):
    files = {f"{kind}/{number}.png": png(10 * len(kind) + number) for kind in ("cat", "horse") for number in range(3)}
    path = zipped(tmp_path / "animals.zip", files)
    assert counts(cbir.ingest(path, encoder="pixels")) == {"points": 6, "ingested": 6}
    assert counts(cbir.ingest(path)) == {"points": 6, "unchanged": 6}
    with cbir.open("animals") as searcher:
        [hit] = searcher.search(f"{path}/cat/1.png", 1)
        assert (hit.uri, hit.label, hit.distance) == ("cat/1.png", "cat", pytest.approx(0, abs=1e-3))
        assert searcher.open_stored(hit).tobytes() == picture(31).tobytes()
    del files["horse/0.png"]
    zipped(path, {**files, "horse/9.png": png(99)})
    found = counts(cbir.ingest(path, prune=True))
    assert (found["points"], found["ingested"], found["pruned"]) == (6, 1, 1)


def test_a_zip_that_moves_is_known_again(home: Path, tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {f"{number}.png": png(number) for number in range(4)})
    cbir.ingest(path, encoder="pixels", collection="c")
    path.rename(tmp_path / "b.zip")
    with pytest.warns(cbir.CbirWarning, match="which no longer exists"):
        report = cbir.ingest(tmp_path / "b.zip", collection="c")
    assert counts(report) == {"points": 4, "unchanged": 4}
    assert metadata(home, "c").roots == {"a": f"{tmp_path}/b.zip"}


def test_a_folder_and_the_zip_of_it_hold_the_same_pictures(home: Path, pictures: Path, tmp_path: Path):
    cbir.ingest(pictures, encoder="pixels", collection="c")
    shutil.make_archive(str(tmp_path / "packed"), "zip", pictures)
    report = cbir.ingest(tmp_path / "packed.zip", collection="c")
    assert counts(report) == {"points": 6, "copies": 6}
    assert set(metadata(home, "c").roots) == {"pictures", "packed"}


def test_what_is_listed_belongs_to_the_root_that_it_lies_in(
    home: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cbir.ingest(pictures, encoder="pixels", collection="c")
    picture(77).save(pictures / "b" / "new.png")
    picture(78).save(tmp_path / "elsewhere.png")
    given = [str(path) for path in [*pictures.rglob("*"), tmp_path / "elsewhere.png"]]
    (tmp_path / "list").write_text("\n".join(given))
    report = cbir.ingest(tmp_path / "list", collection="c", prune=True)
    assert counts(report) == {"points": 8, "ingested": 2, "unchanged": 6}
    known = metadata(home, "c")
    assert known.roots == {"pictures": str(pictures), "files": "/"}
    assert [known.place(name) for name in known.sources] == [str(pictures), "files"]
    with cbir.open("c") as searcher:
        [hit] = searcher.search(tmp_path / "elsewhere.png", 1)
        assert (hit.payload["source"], known.locate(hit.payload)) == ("files", f"{tmp_path}/elsewhere.png")
        [hit] = searcher.search(pictures / "b" / "new.png", 1)
        assert (hit.payload["source"], hit.uri) == ("pictures", "b/new.png")
    # A list knows no labels: those that are stored stay, also where a picture is replaced or touched.
    picture(79).save(pictures / "b" / "1.png")
    os.utime(pictures / "b" / "2.png", ns=(5, 5))
    report = cbir.ingest([pictures / "b" / "1.png", pictures / "b" / "2.png"], collection="c")
    assert counts(report) == {"points": 8, "ingested": 1, "updated": 1}
    with cbir.open("c") as searcher:
        labels = {hit.uri: hit.label for hit in searcher.search(tmp_path / "elsewhere.png", 8)}
    assert [labels[f"b/{number}.png"] for number in range(3)] == ["b"] * 3
    # What is not in a list is not gone.
    stdin = io.TextIOWrapper(io.BytesIO(os.fsencode(pictures / "b" / "0.png") + b"\0"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert counts(cbir.ingest("-", null=True, collection="c", prune=True)) == {"points": 8, "unchanged": 1}


def test_several_are_ingested_at_once_and_what_is_gone_of_the_whole_ones_is_pruned(
    home: Path, pictures: Path, tmp_path: Path
):
    path = zipped(tmp_path / "a.zip", {f"{number}.png": png(100 + number) for number in range(4)})
    picture(200).save(tmp_path / "single.png")
    sources = [pictures, path, tmp_path / "single.png"]
    assert counts(cbir.ingest(sources, encoder="pixels", collection="c")) == {"points": 11, "ingested": 11}
    assert metadata(home, "c").roots == {"pictures": str(pictures), "a": str(path), "files": "/"}
    assert counts(cbir.ingest(sources, collection="c")) == {"points": 11, "unchanged": 11}
    (pictures / "b" / "0.png").unlink()
    picture(201).save(tmp_path / "other.png")
    report = cbir.ingest([pictures, tmp_path / "other.png"], collection="c", prune=True)
    assert counts(report) == {"points": 11, "ingested": 1, "unchanged": 5, "pruned": 1}
    assert counts(cbir.ingest(reversed(sources), collection="c")) == {"points": 11, "unchanged": 10}


def test_addresses_are_fetched_once(home: Path, server, tmp_path: Path):  # noqa: F811
    for number in range(3):
        server.contents[f"/{number}.png"] = png(number)
    given = [f"{server.url}/{number}.png" for number in range(4)]
    report = cbir.ingest(given, encoder="pixels", collection="c", allow_private=True)
    assert counts(report) == {"points": 3, "ingested": 3, "skipped": 1}
    assert "404" in report.unreadable[0][1]
    asked = len(server.asked)
    again = cbir.ingest(given[:3], collection="c", allow_private=True)
    assert counts(again) == {"points": 3, "unchanged": 3}
    assert len(server.asked) == asked
    server.contents["/1.png"] = png(50)
    fresh = cbir.ingest(given[:3], collection="c", allow_private=True, checksum=True)
    assert counts(fresh) == {"points": 3, "ingested": 1, "unchanged": 2}
    assert metadata(home, "c").roots == {}
    assert metadata(home, "c").sources == ("addresses",)
    with cbir.open("c") as searcher:
        [hit] = searcher.search(picture(2), 1)
        assert searcher.metadata.locate(hit.payload) == given[2]
    with pytest.raises(cbir.CbirError, match=r"the only picture of files cannot be read \(.*--allow-private"):
        cbir.ingest(given[0], encoder="pixels", collection="refused")
    refused = cbir.ingest([given[0], given[3]], collection="c", checksum=True)
    assert all("--allow-private" in reason for _, reason in refused.unreadable)


def test_shards_fill_payloads(home: Path, tmp_path: Path):
    for shard in range(2):
        files = []
        for number in range(3):
            files += [(f"{shard}{number}.png", png(10 * shard + number)), (f"{shard}{number}.txt", b"text %d" % number)]
        tarred(tmp_path / f"{shard}.tar", files)
    assert counts(cbir.ingest(tmp_path, encoder="pixels", collection="c")) == {"points": 6, "ingested": 6}
    assert counts(cbir.ingest(f"{tmp_path}/*.tar", collection="c", prune=True)) == {"points": 6, "unchanged": 6}
    (tmp_path / "1.tar").unlink()
    # One file of two: more than half of what is stored may not be gone at once without --force, but these are few.
    assert counts(cbir.ingest(f"{tmp_path}/*.tar", collection="c", prune=True))["points"] == 6
    with cbir.open("c") as searcher:
        [hit] = searcher.search(picture(1), 1)
        assert (hit.payload["caption"], hit.label) == ("text 1", None)
        assert searcher.metadata.locate(hit.payload) == str(tmp_path / "0.tar" / "01.png")
        assert searcher.open_stored(hit).tobytes() == picture(1).tobytes()


def test_the_command_takes_several_and_says_what_it_left(home: Path, pictures: Path, tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": png(50), "notes.txt": b"none"})
    done = run("ingest", str(path), str(pictures), "--encoder", "pixels", "--json")
    assert '"collection": "a"' in done.stdout
    assert "left out: 1 not a picture (.txt)" in done.stderr
    with zipfile.ZipFile(path) as kept:
        assert kept.namelist() == ["a.png", "notes.txt"]


def test_addresses_that_are_not_named_beside_a_folder_are_not_gone(
    home: Path,
    pictures: Path,
    server,  # noqa: F811
):
    server.contents.update({f"/{number}.png": png(20 + number) for number in range(2)})
    addresses = [f"http://127.0.0.1:{server.server_port}/{number}.png" for number in range(2)]
    cbir.ingest([pictures, *addresses], collection="c", encoder="pixels", allow_private=True)
    report = cbir.ingest([pictures, addresses[0]], collection="c", prune=True, allow_private=True)
    assert counts(report) == {"points": 8, "unchanged": 7}


def test_images_of_a_dataset_that_are_beyond_a_limit_are_not_gone(home: Path, pictures: Path):
    cbir.ingest(["digits", pictures], collection="c", encoder="pixels", limit=60)
    report = cbir.ingest(["digits", pictures], collection="c", limit=55, prune=True)
    assert counts(report) == {"points": 60, "unchanged": 55}


def test_a_list_does_not_replace_the_folder_that_its_files_are_in(home: Path, pictures: Path):
    cbir.ingest(pictures, collection="c", encoder="pixels")
    files = sorted(pictures.rglob("*.png"))[:2]
    with pytest.raises(cbir.CbirError, match=f"holds {pictures}, which retraining on .* would drop"):
        cbir.ingest(files, collection="c", encoder="pixels", retrain=True)
    assert cbir.ingest([pictures, *files], collection="c", encoder="pixels", retrain=True).points == 6
