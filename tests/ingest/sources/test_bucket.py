"""Pictures in object storage, on servers of this machine that speak S3 or as Google's."""

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.core import objects
from cbir.core.errors import CbirError
from cbir.core.objects import read_object, stored_below
from cbir.ingest.sources.bucket import BucketSource
from cbir.model.picture import open_image
from tests.ingest.distributed.shuffled import Shuffled, points, told
from tests.serve.album import with_desktop
from tests.serve.asking import asking


def test_a_bucket_is_kept_in_step(home: Path, pictures: Path, anywhere: tuple[str, Any]):
    scheme, bucket = anywhere
    (pictures / "b" / "notes.md").write_text("no picture")
    bucket.put(str(pictures), "photos/album", recursive=True)
    first = cbir.ingest(f"{scheme}photos/album", encoder="pixels")
    assert first.collection == "album"
    assert (first.found, first.ingested, first.left_out_count) == (7, 6, 1)
    cbir.ingest(pictures, collection="folder", encoder="pixels")
    stored, of_folder = points(home, "album"), points(home, "folder")
    assert stored.keys() == of_folder.keys()
    for identity, (vector, payload) in stored.items():
        assert vector == of_folder[identity][0]
        assert (payload["label"], payload["uri"]) == (of_folder[identity][1]["label"], of_folder[identity][1]["uri"])
    with cbir.open("album") as searcher:
        located = {searcher.metadata.locate(payload) for _, payload in stored.values()}
    assert f"{scheme}photos/album/münchen käse/0.png" in located
    assert open_image(f"{scheme}photos/album/b/0.png").size == (28, 28)

    bucket.put(str(pictures / "b" / "1.png"), "photos/album/b/2.png")  # replaced by a copy
    bucket.rm("photos/album/b/0.png")
    again = cbir.ingest(f"{scheme}photos/album/", collection="album", prune=True)
    assert (again.ingested, again.unchanged, again.copies, again.pruned) == (0, 4, 1, 1)
    assert again.points == 4


@pytest.mark.usefixtures("home")
def test_what_is_left_out_of_a_bucket_is_not_told_as_gone(
    pictures: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bucket.put(str(pictures), "photos/album", recursive=True)
    cbir.ingest("s3://photos/album", encoder="pixels")
    bucket.rm("photos/album/münchen käse/0.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "photos" / "album" / "münchen käse").mkdir(parents=True)
    (tmp_path / "s3:" / "photos" / "album" / "münchen käse" / "0.png").touch()  # no such object
    again = cbir.ingest("s3://photos/album", exclude=["b/"])
    assert (again.found - again.left_out_count, again.gone, again.unchosen) == (2, 1, 3)


def test_workers_read_from_a_bucket(home: Path, pictures: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch):
    bucket.put(str(pictures), "photos/album", recursive=True)
    here = cbir.ingest("s3://photos/album", collection="here", encoder="pixels")
    monkeypatch.setenv("CBIR_PROCESSES", "1")
    monkeypatch.setattr("cbir.verbs.ingest._loop", lambda *_, **__: Shuffled())
    there = cbir.ingest("s3://photos/album", collection="there", encoder="pixels", on="ray")
    assert told(there) == told(here)
    assert points(home, "there") == points(home, "here")


def test_any_key_is_listed_and_read(anywhere: tuple[str, Any], monkeypatch: pytest.MonkeyPatch):
    """`::` is where fsspec begins the address of another file."""
    scheme, bucket = anywhere
    monkeypatch.setattr(objects, "_PAGE", 3)
    names = ["a::b.png", "x::file:/etc/hostname", "a#1.png", "a?b.png", "[1]*.png", "100%.png", "%20.png", "a b.png"]
    for name in names:
        bucket.pipe_file(f"photos/album/{name}", name.encode())
    found = [each.name for each in stored_below(f"{scheme}photos/album")]
    assert found == sorted(names)
    assert [read_object(f"{scheme}photos/album/{name}") for name in found] == [name.encode() for name in found]


def test_keys_that_are_no_paths_are_told(home: Path, pictures: Path, anywhere: tuple[str, Any]):
    """`d//e.png` is another key than `d/e.png`, and fsspec reads what stands before `?versionId=`."""
    scheme, bucket = anywhere
    content = (pictures / "b" / "0.png").read_bytes()
    odd = ["d//e.png", "/e.png", "./f.png", "g/../h.png", "v.png?versionId=1.png"]
    whole = [
        "d/e.png",
        "v.png",
        "100%.png",
        "%20.png",
        "a?b.png",
        "a#1.png",
        " a b .png",
        "a::b.png",
        "é/ü.png",
        "+.png",
    ]
    for number, key in enumerate([*odd, *whole]):
        if scheme == "gs://" and "/../" in key:
            continue  # this server takes no such key
        if scheme == "gs://":
            bucket.pipe_file(f"photos/album/{key}", content + bytes([number]))
        else:
            bucket.call_s3("put_object", Bucket="photos", Key=f"album/{key}", Body=content + bytes([number]))
    report = cbir.ingest(f"{scheme}photos/album", encoder="pixels")
    assert (report.ingested, report.skipped) == (len(whole), 0)
    told = {each.reason: each.examples for each in report.left_out}
    assert told == {
        "keys with an empty name, '.' or '..' between slashes": ("./f.png", ".//e.png", "d//e.png"),
        "keys with ?versionId=": ("v.png?versionId=1.png",),
    }
    with cbir.open("album") as searcher:
        located = {searcher.metadata.locate(payload) for _, payload in points(home, "album").values()}
    assert {address: open_image(address).size for address in located} == {
        f"{scheme}photos/album/{key}": (28, 28) for key in whole
    }
    with pytest.raises(CbirError, match="taken for a version"):
        open_image(f"{scheme}photos/album/v.png?versionId=1.png")


@pytest.mark.parametrize("others", [[], ["readme.txt"], ["a/1.png"]])
def test_a_flat_bucket_is_listed_once_a_page_at_a_time(others: list[str], bucket: Any, monkeypatch: pytest.MonkeyPatch):
    """What is right below is listed before only as long as that may be shards."""
    for key in [*(f"{number:04}.png" for number in range(25)), *others]:
        bucket.call_s3("put_object", Bucket="photos", Key=key, Body=b"")
    monkeypatch.setattr(objects, "_PAGE", 10)
    asked: list[str] = []
    call = type(bucket).call_s3

    def counted(self: Any, method: str, *given: Any, **named: Any) -> Any:
        asked.append(method)
        return call(self, method, *given, **named)

    monkeypatch.setattr(type(bucket), "call_s3", counted)
    assert len(BucketSource("s3://photos")) == 25 + len([each for each in others if each.endswith(".png")])
    assert asked == ["list_objects_v2"] * 4


def test_an_access_point_is_listed_by_its_whole_name(bucket: Any, monkeypatch: pytest.MonkeyPatch):
    point = "arn:aws:s3:us-east-1:123456789012:accesspoint/mine"
    asked: list[Any] = []

    def answered(_: Any, __: str, **named: Any) -> Any:
        asked.append((named["Bucket"], named["Prefix"]))
        return {"Contents": [{"Key": "album/b/1.png", "Size": 3}]}

    monkeypatch.setattr(type(bucket), "call_s3", answered)
    assert [each.name for each in stored_below(f"s3://{point}/album")] == ["b/1.png"]
    assert asked == [(point, "album/")]


@pytest.mark.parametrize("form", ["txt", "parquet", "stdin"])
def test_a_list_names_what_is_in_a_bucket(
    form: str, home: Path, pictures: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bucket.put(str(pictures), "photos/album", recursive=True)
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        tar.add(pictures / "b" / "1.png", "in.png")
    bucket.put(str(tmp_path / "0.tar"), "photos/0.tar")
    (tmp_path / "here.png").write_bytes((pictures / "münchen käse" / "0.png").read_bytes())
    given = [
        "s3://photos/album/b/0.png",
        "s3://photos/0.tar/in.png",
        str(tmp_path / "here.png"),
        "s3://photos/gone.png",
    ]
    listed = tmp_path / f"list.{form}"
    if form == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"path": given}), listed)
    else:
        listed.write_text("\n".join(given))
    if form == "stdin":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed.read_bytes())))
    report = cbir.ingest("-" if form == "stdin" else listed, collection="listed", encoder="pixels")
    assert (report.found, report.ingested, report.skipped) == (4, 3, 1)
    stored = points(home, "listed")
    with cbir.open("listed") as searcher:
        located = {searcher.metadata.locate(payload) for _, payload in stored.values()}
        assert located == set(given[:3])
        assert all(searcher.open_stored(payload).size == (28, 28) for _, payload in stored.values())
    if form == "txt":
        with asking() as client:
            assert {client.get(f"/images/listed/{point}").status_code for point in stored} == {200}


def test_a_server_shows_what_is_in_a_bucket_as_long_as_it_is_the_same(
    home: Path, pictures: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bucket.put(str(pictures), "photos/album", recursive=True)
    cbir.ingest("s3://photos/album", encoder="pixels")
    found = next(id_ for id_, (_, payload) in points(home, "album").items() if payload["uri"] == "b/0.png")
    asked_to_open = with_desktop(monkeypatch, tmp_path)
    with asking() as client:
        assert client.get(f"/images/album/{found}").content == (pictures / "b" / "0.png").read_bytes()
        assert client.get(f"/thumbnails/album/{found}").headers["content-type"] == "image/webp"
        bucket.put(str(pictures / "b" / "1.png"), "photos/album/b/0.png")
        changed = client.get(f"/images/album/{found}")
        assert (changed.status_code, "another picture" in changed.text) == (404, True)
        bucket.rm("photos/album/b/0.png")
        assert "s3://photos/album/b/0.png does not exist" in client.get(f"/images/album/{found}").text
        assert client.post(f"/api/collections/album/points/{found}/folder").status_code == 404
        assert not asked_to_open.exists()


def test_a_picture_is_named_alone(home: Path, pictures: Path, anywhere: tuple[str, Any]):
    """As a file of this machine is, whatever else lies below its name."""
    scheme, bucket = anywhere
    for key, number in (("1.png", 0), ("unnamed", 1), ("both.png", 2), ("both.png/below.png", 1)):
        bucket.pipe_file(f"photos/{key}", (pictures / "b" / f"{number}.png").read_bytes())
    for key, content in (("list.txt", b"a"), ("dir", b""), ("dir/1.txt", b"a")):
        bucket.pipe_file(f"photos/{key}", content)
    named = [f"{scheme}photos/{key}" for key in ("1.png", "unnamed", "both.png")]
    for address in named:
        assert cbir.ingest(address, collection="one", encoder="pixels").found == 1
    assert sorted(payload["uri"] for _, payload in points(home, "one").values()) == sorted(named)
    assert cbir.ingest(named[0], collection="one").unchanged == 1
    below = cbir.ingest(f"{scheme}photos/both.png/", collection="below", encoder="pixels")
    assert [payload["uri"] for _, payload in points(home, "below").values()] == ["below.png"]
    assert below.found == 1
    with pytest.raises(CbirError, match=r"list\.txt is no picture, and no archive"):
        cbir.ingest(f"{scheme}photos/list.txt")
    with pytest.raises(CbirError, match=r"dir holds no pictures \(1 not a picture"):
        cbir.ingest(f"{scheme}photos/dir")


@pytest.mark.usefixtures("home")
def test_what_cannot_be_listed_is_told(anywhere: tuple[str, Any]):
    scheme, _ = anywhere
    for address in (f"{scheme}nowhere/album", f"{scheme}photos/album"):
        with pytest.raises(CbirError, match=address):
            cbir.ingest(address)


@pytest.mark.usefixtures("home")
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    known = pytest.importorskip("fsspec.registry")._registry
    monkeypatch.delitem(known, "gs", raising=False)  # where it was met before
    with pytest.raises(CbirError, match=r"pip install '\.\[gs\]'"):
        cbir.ingest("gs://photos/album")


def test_shards_in_a_bucket(
    home: Path, pictures: Path, tmp_path: Path, anywhere: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
):
    scheme, bucket = anywhere
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = sorted(pictures.rglob("*.png"))
    local = tmp_path / "shards"
    for kind in ("tars", "packed", "tables"):
        (local / kind).mkdir(parents=True)
    for number, part in enumerate((files[:3], files[3:])):
        for name, mode in ((f"tars/{number}.tar", "w"), (f"packed/{number}.tar.gz", "w:gz")):
            with tarfile.open(local / name, mode) as tar:
                for at, file in enumerate(part):
                    tar.add(file, f"{at}.png")
        columns = {"key": [f"{at}" for at in range(3)], "jpg": [file.read_bytes() for file in part]}
        pq.write_table(pa.table(columns), local / "tables" / f"{number}.parquet")
    bucket.put(str(local), "photos/shards", recursive=True)
    monkeypatch.setenv("CBIR_PROCESSES", "1")
    for kind, some in (("tars", "*.tar"), ("packed", "*.tar.gz"), ("tables", "0.parquet")):
        here = cbir.ingest(local / kind, collection=f"{kind}-here", encoder="pixels")
        there = cbir.ingest(f"{scheme}photos/shards/{kind}", collection=f"{kind}-there", encoder="pixels")
        assert (there.ingested, told(there)) == (6, told(here))
        assert {identity: payload["uri"] for identity, (_, payload) in points(home, f"{kind}-there").items()} == {
            identity: payload["uri"] for identity, (_, payload) in points(home, f"{kind}-here").items()
        }
        again = cbir.ingest(f"{scheme}photos/shards/{kind}/{some}", collection=f"{kind}-there")
        assert (again.ingested, again.gone) == (0, 0)
        assert again.unchanged == again.found
        with monkeypatch.context() as patch:
            patch.setattr("cbir.verbs.ingest._loop", lambda *_, **__: Shuffled())
            many = cbir.ingest(f"{scheme}photos/shards/{kind}", collection=f"{kind}-many", encoder="pixels", on="ray")
        assert told(many) == told(there)
    bucket.put(str(pictures), "photos/shards/tars/beside", recursive=True)
    mixed = cbir.ingest(f"{scheme}photos/shards/tars", collection="mixed", encoder="pixels")
    assert (mixed.ingested, mixed.left_out_count) == (6, 2), "beside folders of pictures, shards are left out"
    with pytest.raises(CbirError, match="matches no archives"):
        cbir.ingest(f"{scheme}photos/shards/tars/*.zip")
