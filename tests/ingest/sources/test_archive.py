"""Archives as sources: what is taken, what it is called, and what stands beside it."""

import gzip
import io
import json
import os
import pickle
import tarfile
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.core.uris import path_of
from cbir.ingest.sources import archive, member_pictures
from cbir.ingest.sources.archive import ArchiveSource, root_name, safe_path
from cbir.ingest.sources.beside import beside_of
from cbir.ingest.sources.catalogue import picture_opener
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.member_pictures import read_member
from cbir.ingest.sources.source import SourceError
from cbir.model.errors import ImageError
from tests.conftest import picture


def png(seed: int = 0) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def tarred(path: Path, files: list[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as target:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return path


def labels(source: ArchiveSource) -> dict[str, object]:
    return {item.uri: item.label for item in source.items()}


def test_a_zip_is_a_root_whose_pictures_are_found_again(tmp_path: Path):
    files = {f"{kind}/{number}.png": png(number) for kind in ("cat", "dog") for number in range(3)}
    source = ArchiveSource(zipped(tmp_path / "my pets.zip", files))
    assert source.name == "my pets"
    assert source.roots == {"my pets": str(tmp_path / "my pets.zip")}
    items = list(source.items())
    assert {item.uri: item.label for item in items} == {uri: uri[:3] for uri in files}
    assert [item.content() for item in items] == list(files.values())
    assert items[0].open().size == (28, 28)
    assert items[0].location == f"{tmp_path}/my pets.zip/cat/0.png"
    assert picture_opener()(items[4].location).tobytes() == items[4].open().tobytes()
    assert (source.complete, source.unlisted, list(source.problems), source.found) == (True, [], [], 6)


def test_a_folder_around_everything_is_no_class(tmp_path: Path):
    files = {f"pets/{kind}/{number}.png": png(number) for kind in ("cat", "dog") for number in range(2)}
    assert set(labels(ArchiveSource(zipped(tmp_path / "a.zip", files))).values()) == {"cat", "dog"}
    flat = {f"pets/{number}.png": png(number) for number in range(2)}
    assert set(labels(ArchiveSource(zipped(tmp_path / "b.zip", flat))).values()) == {None}
    assert set(labels(ArchiveSource(zipped(tmp_path / "b.zip", flat), choice=Choice(labels="folder"))).values()) == {
        "pets"
    }


def test_any_picture_of_a_large_archive_is_read_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(member_pictures, "_TOGETHER", 3)
    files = {f"{folder}{number}.png": png(number) for folder in ("", "a/", "b/c/") for number in range(5)}
    path = zipped(tmp_path / "x.zip", {"readme.txt": b"", **files})
    assert {inner: read_member(f"{path}/{inner}") for inner in files} == files
    with pytest.raises(ImageError, match="the archive holds no such picture"):
        read_member(f"{path}/a/5.png")


def test_what_stands_beside_a_picture_is_taken_as_far_as_it_can_be_read():
    said = [
        ("txt", b"x" * ((1 << 20) + 1)),
        ("json", b"{"),
        ("json", b'{"n": 7, "yes": true, "part": 0.5, "label": true}'),
    ]
    fields = {"n": 7, "yes": True, "part": 0.5}
    assert beside_of([*said, ("cls", b" 3\n")], set()) == {**fields, "label": 3}
    assert beside_of([*said, ("cls", "٣".encode())], set()) == {**fields, "label": "٣"}


def test_a_shard_that_cannot_be_read_does_not_end_the_listing(tmp_path: Path):
    shards = [tarred(tmp_path / f"{number}.tar", [(f"{number}.png", png(number))]) for number in range(3)]
    shards[1].write_bytes(b"no archive")
    source = ArchiveSource(tmp_path, shards)
    assert [item.uri for item in source.items()] == ["0.tar/0.png", "2.tar/2.png"]
    assert [item.content() for item in source.items() if item.content] == [png(0), png(2)]
    assert [uri for uri, _ in source.problems] == ["1.tar"]


def test_a_member_has_its_own_stamp_or_that_of_its_archive(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as target:
        for name, modified in (("dated.png", 1_500_000_000), ("undated.png", 0)):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(png()), modified
            target.addfile(info, io.BytesIO(png()))
    found = {item.uri: item.payload for item in ArchiveSource(tmp_path / "x.tar").items()}
    assert {payload["bytes"] for payload in found.values()} == {len(png())}
    assert found["dated.png"]["modified"] == 1_500_000_000 * 10**9
    assert found["undated.png"]["modified"] == (tmp_path / "x.tar").stat().st_mtime_ns


def test_a_class_beside_a_picture_counts_more_than_its_folder_and_less_than_a_table(tmp_path: Path):
    files = [("cat/0.png", png()), ("cat/0.cls", b"7"), ("cat/1.png", png(1)), ("dog/2.png", png(2))]
    path = tarred(tmp_path / "x.tar", files)
    assert labels(ArchiveSource(path)) == {"cat/0.png": 7, "cat/1.png": "cat", "dog/2.png": "dog"}
    (tmp_path / "labels.csv").write_text("uri,label\ncat/0.png,tiger\n")
    assert labels(ArchiveSource(path, choice=Choice(labels=str(tmp_path / "labels.csv"))))["cat/0.png"] == "tiger"


def test_queries_beside_a_database_are_held_back(tmp_path: Path):
    files = {f"x/{part}/cat/{number}.png": png(number) for part in ("database", "queries") for number in range(2)}
    source = ArchiveSource(zipped(tmp_path / "a.zip", files))
    assert labels(source) == {f"x/database/cat/{number}.png": "cat" for number in range(2)}
    assert [(item.uri, item.label) for item in source.queries()] == [
        (f"x/queries/cat/{n}.png", "cat") for n in range(2)
    ]
    assert source.found == 4


def test_what_programs_put_into_archives_is_left_out_with_the_reason(tmp_path: Path):
    files = {
        "a.png": png(),
        "__MACOSX/._a.png": b"\0",
        ".hidden.png": png(),
        "Thumbs.db": b"x",
        "inner.zip": b"PK\x03\x04",
        "noending": png(1),
        "no.png": b"none",
    }
    source = ArchiveSource(zipped(tmp_path / "a.zip", files))
    assert list(labels(source)) == ["a.png", "noending", "no.png"]
    reasons = {left.reason: left.count for left in source.left_out}
    assert reasons.pop("not pictures (.db, .zip)") == 2
    assert sum(reasons.values()) == 2
    assert source.found == len(files)
    everything = ArchiveSource(tmp_path / "a.zip", choice=Choice(hidden=True, exclude=("no*",)))
    assert list(labels(everything)) == ["a.png", ".hidden.png"]


def test_bad_members_are_skipped_each_and_the_others_are_read(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": png(1), "b.png": png(2), "c.png": b""})
    content = path.read_bytes()
    path.write_bytes(content.replace(png(2)[40:60], bytes(20)) if png(2) in content else content)
    a, b, c = ArchiveSource(path).items()
    assert a.open().size == (28, 28)
    with pytest.raises(ImageError, match=r"a\.zip/c\.png is empty"):
        c.content()
    data = bytearray(path.read_bytes())
    at = data.index(b"b.png") + 20
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.zip/b\.png cannot be unpacked"):
        b.content()


def test_an_archive_that_is_cut_off_is_read_so_far_and_what_follows_is_not_gone(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {f"{number}.png": png(number) for number in range(9)})
    path.write_bytes(path.read_bytes()[:-200])
    source = ArchiveSource(path)
    assert len(source) >= 8
    assert source.unlisted == [("a", "")]
    [(_, reason)] = source.problems
    assert "its end is missing" in reason
    assert str(path) in reason


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path):
    names = ["../../etc/a.png", "/abs/b.png", "C:\\c\\d.png", "./e//f.png", "..", "12:30.png", "g\u202eh.png"]
    source = ArchiveSource(tarred(tmp_path / "a.tar", [(name, png(n)) for n, name in enumerate(names)]))
    assert list(labels(source)) == ["etc/a.png", "abs/b.png", "./C:/c/d.png", "e/f.png", "./12:30.png", "g\u202eh.png"]
    assert len(list(source.problems)) == 1
    assert source.found == len(names)
    opened = picture_opener()
    for item in source.items():
        assert opened(item.location).size == (28, 28)


@settings(max_examples=300)
@given(st.text(max_size=60).map(lambda text: text.replace("~", "/")) | st.binary(max_size=40).map(os.fsdecode))
def test_a_safe_path_is_relative_and_has_a_uri(name: str):
    path = safe_path(name)
    if path is not None:
        parts = path.split(b"/")
        assert not {b"", b".", b".."} & set(parts)
        assert b"\0" not in path
        if b"\\" not in path:  # backslashes are read as slashes in a name that has no others
            assert safe_path(os.fsdecode(path)) == path
        assert os.fsencode(path_of(archive.uri_of(os.fsdecode(path)))) == path


def test_of_members_of_one_name_the_last_one_counts(tmp_path: Path):
    source = ArchiveSource(tarred(tmp_path / "a.tar", [("a.png", png(1)), ("b.png", png(2)), ("a.png", png(3))]))
    contents = {item.uri: item.content() for item in source.items()}
    assert contents == {"b.png": png(2), "a.png": png(3)}
    assert [(left.count, left.examples) for left in source.left_out] == [(1, ("a.png",))]
    assert (len(source), source.found) == (2, 3)
    assert picture_opener()(f"{tmp_path}/a.tar/a.png").tobytes() == picture(3).tobytes()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_webdataset_says_something_beside_each_picture(tmp_path: Path, mode: str):
    said = {"caption": "a cat", "url": "http://x", "width": 7, "score": 0.5, "nested": {}, "sha256": "no", "a.b": "c"}
    files = []
    for number in range(3):
        files += [(f"00{number}.png", png(number)), (f"00{number}.json", json.dumps(said).encode())]
        files += [(f"00{number}.txt", b"a text"), (f"00{number}.cls", b"%d" % number)]
    files += [("readme.txt", b"about it"), ("bad.png", png(4)), ("bad.json", b"{")]
    source = ArchiveSource(tarred(tmp_path / "shard.tar", files, mode))
    items = list(source.items())
    assert [(item.uri, item.label) for item in items] == [
        ("000.png", 0),
        ("001.png", 1),
        ("002.png", 2),
        ("bad.png", None),
    ]
    expected = {"caption": "a cat", "url": "http://x", "score": 0.5, "a_b": "c"}
    assert {name: items[0].payload[name] for name in expected} == expected
    assert not {"width", "nested", "sha256"} & set(items[0].payload)
    assert [item.content() for item in items[:3]] == [png(number) for number in range(3)]
    assert [left.reason for left in source.left_out] == ["not pictures (.txt)"]


def test_a_table_of_labels_wins_over_what_the_shard_says(tmp_path: Path):
    path = tarred(tmp_path / "shard.tar", [("0.png", png()), ("0.cls", b"5")])
    (tmp_path / "labels.csv").write_text("uri,label,mood\n0.png,cat,good\n")
    [item] = ArchiveSource(path, choice=Choice(labels=str(tmp_path / "labels.csv"))).items()
    assert (item.label, item.payload["mood"]) == ("cat", "good")


def test_shards_of_a_folder_have_one_root(tmp_path: Path):
    shards = [
        tarred(tmp_path / f"{shard}.tar", [(f"{shard}{number}.png", png(number)) for number in range(2)])
        for shard in "ab"
    ]
    (tmp_path / "broken.tar").write_bytes(b"no tar")
    source = ArchiveSource(tmp_path, [*shards, tmp_path / "broken.tar"])
    assert labels(source) == dict.fromkeys(["a.tar/a0.png", "a.tar/a1.png", "b.tar/b0.png", "b.tar/b1.png"])
    assert source.roots == {tmp_path.name: str(tmp_path)}
    assert source.unlisted == [(tmp_path.name, "broken.tar")]
    assert picture_opener()(f"{tmp_path}/b.tar/b1.png").tobytes() == picture(1).tobytes()


def test_a_members_stamp_is_another_when_its_content_is(tmp_path: Path):
    def stamps(path: Path) -> dict[str, dict[str, int]]:
        names = ("bytes", "modified", "inode", "changed")
        return {
            item.uri: {name: item.payload[name] for name in names if name in item.payload}
            for item in ArchiveSource(path).items()
        }

    path = zipped(tmp_path / "a.zip", {"a.png": png(1), "b.png": png(2)})
    before = stamps(path)
    assert before == stamps(path.rename(tmp_path / "moved.zip"))
    other = {"a.png": png(1), "b.png": png(2)[:-1] + b"!"}
    after = stamps(zipped(path, other))
    assert before["b.png"]["inode"] != after["b.png"]["inode"]
    assert before["a.png"]["inode"] == after["a.png"]["inode"]
    tar = tarred(tmp_path / "a.tar", [("a.png", png(1))])
    before = stamps(tar)
    time.sleep(0.02)
    tar.write_bytes(tar.read_bytes())
    assert stamps(tar) != before


def test_a_limit_takes_a_fair_sample(tmp_path: Path):
    files = {f"{kind}/{number}.png": png(number) for kind in ("cat", "dog") for number in range(20)}
    source = ArchiveSource(zipped(tmp_path / "a.zip", files)).limited(6)
    assert [item.label for item in source.items()] == ["cat"] * 3 + ["dog"] * 3
    assert (len(source), source.complete, source.found) == (6, False, 40)


def test_a_source_can_be_pickled_and_renamed(tmp_path: Path):
    path = tarred(tmp_path / "a.tar.gz", [(f"{number}.png", png(number)) for number in range(3)], "w:gz")
    source = ArchiveSource(path)
    again = pickle.loads(pickle.dumps(source)).renamed({"a": "b"})
    assert (source.name, again.name) == ("a", "b")
    assert [item.content() for item in again.items()] == [png(number) for number in range(3)]
    assert {item.source for item in again.items()} == {"b"}


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text", mtime=0), b"PK\x05\x06" + bytes(18)])
def test_what_holds_no_pictures_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.zip (is neither|holds no pictures)"):
        ArchiveSource(tmp_path / "a.zip")
    with pytest.raises(SourceError, match=r"gone\.zip cannot be read"):
        ArchiveSource(tmp_path / "gone.zip")


def test_a_picture_that_is_not_in_the_archive_says_so(tmp_path: Path):
    zipped(tmp_path / "a.zip", {"a.png": png()})
    opened = picture_opener()
    with pytest.raises(ImageError, match="holds no such picture"):
        opened(f"{tmp_path}/a.zip/b.png")
    with pytest.raises(ImageError, match="does not exist"):
        opened(f"{tmp_path}/b.zip/b.png")
    (tmp_path / "text").write_text("none")
    with pytest.raises(ImageError, match=r"neither a \.zip"):
        opened(f"{tmp_path}/text/b.png")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=8, unique=True))
def test_whatever_names_are_found_is_the_sum(tmp_path: Path, names: list[str]):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        target.writestr("surely.png", png())
        for name in names:
            if not name.endswith("/"):
                try:
                    target.writestr(zipfile.ZipInfo(name), png())
                except (ValueError, UnicodeError):
                    continue
        count = sum(not info.filename.endswith("/") for info in target.infolist())
    source = ArchiveSource(tmp_path / "x.zip")
    assert source.found == count
    assert len({item.place for item in source.items()}) == len(source)
    for item in source.items():
        assert item.open().size == (28, 28)


def test_names_of_roots():
    names = ["photos.zip", "a.tar.gz", "b.TGZ", "00000.tar", "train.parquet", ".zip", "plain"]
    assert [root_name(Path(name)) for name in names] == ["photos", "a", "b", "00000", "train", "zip", "plain"]
