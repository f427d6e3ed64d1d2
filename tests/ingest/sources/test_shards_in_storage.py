"""Pictures in shards that lie in object storage are opened again, each by what is read of its shard alone."""

import hashlib
import io
import json
import random
import re
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cbir
from cbir.core.errors import CbirError
from cbir.core.objects import ObjectFile, StorageFault
from cbir.core.settings import read_settings
from cbir.ingest.sources import member_pictures
from cbir.ingest.sources.bucket import BucketSource
from cbir.ingest.sources.member_pictures import read_in_storage
from cbir.mcp.tools import Tools
from cbir.model.errors import ImageError
from cbir.serve.library import Library
from tests.conftest import picture
from tests.ingest.distributed.shuffled import points
from tests.serve.asking import asking


@pytest.fixture
def shards(tmp_path: Path, bucket: Any) -> dict[str, list[Path]]:
    """Shards of each kind in folders of the bucket, and the files of the pictures 0 to 7 that lie in them."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = []
    for number in range(8):
        files.append(tmp_path / f"{number}.png")
        picture(number).save(files[-1])
    for kind, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("zip", ""), ("parquet", "")):
        for number, part in enumerate((files[:4], files[4:])):
            path = tmp_path / kind / f"{number}.{kind}"
            path.parent.mkdir(exist_ok=True)
            if kind == "zip":
                with zipfile.ZipFile(path, "w") as packed:
                    for file in part:
                        packed.write(file, file.name)
            elif kind == "parquet":
                columns = {"key": [file.name for file in part], "jpg": [file.read_bytes() for file in part]}
                pq.write_table(pa.table(columns), path, row_group_size=2)
            else:
                with tarfile.open(path, mode) as tar:
                    for file in part:
                        tar.add(file, file.name)
            bucket.put(str(path), f"photos/{kind}/{path.name}")
    return files


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "parquet"])
def test_each_is_opened_where_it_lies(kind: str, home: Path, shards: list[Path], monkeypatch: pytest.MonkeyPatch):
    report = cbir.ingest(f"s3://photos/{kind}", encoder="pixels", collection="shards")
    assert report.ingested == 8
    stored = points(home, "shards")
    member_pictures._archive.cache_clear()
    listed = []
    monkeypatch.setattr(member_pictures._Archive, "_listed", lambda archive: listed.append(archive))
    with asking() as client:
        for identity, (_, payload) in stored.items():
            file = next(file for file in shards if file.name == payload["name"])
            assert client.get(f"/images/shards/{identity}").content == file.read_bytes()
            assert client.get(f"/thumbnails/shards/{identity}").headers["content-type"] == "image/webp"
    found = cbir.duplicates("shards")
    assert (found.points, found.unreadable) == (8, ())
    with cbir.open("shards") as searcher:
        for _, payload in stored.values():
            assert searcher.open_stored(payload).tobytes() == picture(int(payload["name"][0])).tobytes()
    assert not listed, "the payload tells where each is"


def test_an_assistant_sees_them_as_long_as_they_are_the_same(home: Path, shards: list[Path], bucket: Any):
    cbir.ingest("s3://photos/tar", encoder="pixels", collection="shards")
    identity, (_, payload) = next(iter(points(home, "shards").items()))
    with closing(Library(read_settings())) as library:
        tools = Tools(library)

        def shown() -> Image.Image:
            return Image.open(io.BytesIO(tools.picture(identity=identity, path=None, collection="shards", size=99)[0]))

        assert shown().tobytes() == picture(int(payload["name"][0])).tobytes()
        bucket.put(str(shards[0].parent / "tar" / "1.tar"), "photos/tar/0.tar")
        bucket.put(str(shards[0].parent / "tar" / "0.tar"), "photos/tar/1.tar")
        with pytest.raises(CbirError, match="no such picture"):
            shown()


def test_an_assistant_sees_a_picture_at_any_of_its_places(home: Path, pictures: Path, bucket: Any):
    for name in ("1.png", "2.png"):
        bucket.put(str(pictures / "b" / "1.png"), f"photos/album/{name}")
    cbir.ingest("s3://photos/album", encoder="pixels", collection="album")
    [identity] = points(home, "album")
    with closing(Library(read_settings())) as library:
        tools = Tools(library)

        def shown() -> Image.Image:
            return Image.open(io.BytesIO(tools.picture(identity=identity, path=None, collection="album", size=99)[0]))

        there = shown().tobytes()
        bucket.rm("photos/album/1.png")
        assert shown().tobytes() == there
        bucket.put(str(pictures / "b" / "0.png"), "photos/album/1.png")
        assert shown().tobytes() == there
        bucket.put(str(pictures / "b" / "0.png"), "photos/album/2.png")
        with pytest.raises(CbirError, match=r"2\.png is another picture than the stored one"):
            shown()


@pytest.mark.parametrize("kind", ["tar", "tar.bz2", "zip", "parquet"])
def test_a_fault_of_the_storage_passes(kind: str, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """At whichever request it comes, nothing is taken for damaged, or for gone, and nothing of it is kept."""
    core, exceptions = pytest.importorskip("s3fs.core"), pytest.importorskip("botocore.exceptions")
    chance, contents = random.Random(2), {}
    for number in range(4):
        contents[f"{number}.png"] = b"\x89PNG\r\n\x1a\n" + chance.randbytes(400_000)
        (tmp_path / f"{number}.png").write_bytes(contents[f"{number}.png"])
    path = tmp_path / f"0.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name in contents:
                packed.write(tmp_path / name, name)
    elif kind == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        columns = {"key": list(contents), "jpg": list(contents.values())}
        pq.write_table(pa.table(columns), path, row_group_size=2)
    else:
        with tarfile.open(path, "w:bz2" if kind == "tar.bz2" else "w") as tar:
            for name in contents:
                tar.add(tmp_path / name, name)
    bucket.put(str(path), f"photos/0.{kind}")
    fetch, left = core._fetch_range, [0]

    def fetched(*given: Any, **named: Any) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise exceptions.EndpointConnectionError(endpoint_url="http://storage")
        return fetch(*given, **named)

    monkeypatch.setattr(core, "_fetch_range", fetched)
    address, failures = f"s3://photos/0.{kind}/3.png", 0
    told: list[str] = []
    while True:
        member_pictures._archive.cache_clear()
        left[0] = failures
        try:
            content = read_in_storage(address)
        except ImageError as error:
            told.append(str(error))
            failures += 1
            left[0] = 1 << 20
            assert read_in_storage(address) == contents["3.png"]
            continue
        assert content == contents["3.png"]
        break
    if kind == "zip":  # its directory is at the end: that is where the first requests lead
        left[0] = 1
        with pytest.raises(CbirError, match="cannot be listed further: Could not connect"):
            BucketSource("s3://photos")
    assert failures > 3
    assert not [each for each in told if re.search("neither|does not exist|holds no", each)]


def test_a_replaced_shard_is_not_mixed_with_what_it_was(anywhere: tuple[str, Any]):
    scheme, bucket = anywhere
    bucket.pipe_file("photos/0.tar", b"1" * 1_000_000)
    shard = ObjectFile(f"{scheme}photos/0.tar")
    assert shard.open("rb").read(3) == shard.open("rb").read(3) == b"111"
    again = shard.open("rb")
    assert again.read(3) == b"111"
    bucket.pipe_file("photos/0.tar", b"2" * 1_000_000)
    for file in (again, shard.open("rb")):
        file.seek(900_000)
        with pytest.raises(StorageFault):
            file.read(3)


def test_a_shard_is_read_as_a_file_is(anywhere: tuple[str, Any]):
    scheme, bucket = anywhere
    content = random.Random(0).randbytes(1_000_000)
    bucket.pipe_file("photos/0.tar", content)
    with ObjectFile(f"{scheme}photos/0.tar").open("rb") as file:
        for start, size in ((0, 3), (900_000, 10), (5, 400_000), (999_990, 100), (1_000_000, 5), (2_000_000, 5)):
            assert file.seek(start) == start
            assert file.read(size) == content[start : start + size]
        assert file.seek(-4, io.SEEK_END) == file.tell() == 999_996
        assert file.seek(1, io.SEEK_CUR) == 999_997
        assert file.read() == content[-3:]
    for address in (f"{scheme}photos/1.tar", f"{scheme}nowhere/1.tar"):
        with pytest.raises(StorageFault):
            ObjectFile(address).open("rb")


def test_a_payload_that_lies_only_costs_time(home: Path, shards: list[Path]):
    """Copies and other tools have payloads that do not tell, or tell what is not so."""
    content = shards[5].read_bytes()
    address = "s3://photos/tar/1.tar/5.png"
    assert read_in_storage(address) == content
    for place in ([], [0], [-1], ["x"], [1 << 70], [1, 2], None, 7):
        for size in (len(content), -1, 1 << 50, None):
            told = {"member": place, "bytes": size, "sha256": "0" * 64}
            assert read_in_storage(address, told) == content, json.dumps(told)


def test_the_shard_is_not_read_whole(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A shard of 40 MB, of which a picture has 2."""
    chance = random.Random(1)
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number in range(20):
            (tmp_path / f"{number}.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + chance.randbytes(2_000_000))
            tar.add(tmp_path / f"{number}.bin", f"{number}.png")
    with tarfile.open(tmp_path / "0.tar") as tar:
        place = tar.getmember("19.png").offset_data
    bucket.put(str(tmp_path / "0.tar"), "photos/0.tar")
    asked: list[int] = []
    core = pytest.importorskip("s3fs.core")
    fetch = core._fetch_range
    monkeypatch.setattr(
        core,
        "_fetch_range",
        lambda *given, **named: (asked.append(len(got := fetch(*given, **named))), got)[1],
    )
    content = (tmp_path / "19.bin").read_bytes()
    told = {"member": [place], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert read_in_storage("s3://photos/0.tar/19.png", told) == content
    assert sum(asked) < 2 * len(content), asked


def test_a_folder_may_be_called_like_a_shard(bucket: Any):
    bucket.pipe_file("photos/a.tar/b.zip/1.png", b"\x89PNG\r\n\x1a\n...")
    assert read_in_storage("s3://photos/a.tar/b.zip/1.png") == b"\x89PNG\r\n\x1a\n..."
