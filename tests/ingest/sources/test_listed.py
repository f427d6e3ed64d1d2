"""Lists of paths and addresses, from files, standard input, patterns and arguments, opened as one source."""

import io
import os
import pickle
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.ingest.sources.arguments import open_sources
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.entries import MOST_BYTES, entries, looks_like_list, matching
from cbir.ingest.sources.listed import ListedSource
from cbir.ingest.sources.source import STAMP, Source, SourceError
from cbir.model import formats
from cbir.model.errors import ImageError
from cbir.model.formats import sniff
from tests.conftest import picture
from tests.ingest.sources.test_addresses import server  # noqa: F401 - a fixture
from tests.ingest.sources.test_archive import png, tarred, zipped


def places(source: Source) -> list[tuple[str, str]]:
    return [item.place for item in source.items()]


def reasons(source: Source) -> dict[str, int]:
    return {left.reason: left.count for left in source.left_out}


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name and not sniff(name))))
def test_entries_that_nul_ends_come_back_as_they_were(names: list[bytes]):
    file = io.BytesIO(b"".join(name + b"\0" for name in names))
    assert [os.fsencode(entry) for entry in entries(file, "list", null_separated=True)] == names


def test_lines_are_entries_and_empty_ones_are_none():
    found = entries(io.BytesIO(b"a.jpg\n\n  two  spaces.jpg\r\nlast"), "list")
    assert list(found) == ["a.jpg", "  two  spaces.jpg", "last"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(png(), "it is a picture"), (b"a\0b\n", "-0"), (b"x" * (MOST_BYTES + 1), "more than 65,536 bytes")],
)
def test_what_is_no_list_says_so(content: bytes, reason: str):
    with pytest.raises(SourceError, match=reason):
        list(entries(io.BytesIO(content), "list"))


@pytest.mark.parametrize(
    ("content", "may_be"),
    [
        (b"there.png\n", True),
        (b"gone.png\nthere.png\n", True),
        (b"gone.png\0there.png\0", True),
        (b"P1 200.jpg\0", True),
        (b"https://example.org/1.jpg\n", True),
        (b"gone.png\n", False),
        (png() + b"\nthere.png\n", False),
        (b"", False),
    ],
)
def test_a_list_is_told_by_an_entry_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, may_be: bool
):
    monkeypatch.chdir(tmp_path)
    for name in ("there.png", "P1 200.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "list").write_bytes(content)
    assert looks_like_list("list") == may_be
    assert not looks_like_list("gone")


def test_two_stars_match_at_any_depth(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    files = [tmp_path / name for name in ("1.jpg", "a/2.jpg", "a/b/3.jpg")]
    for file in files:
        file.touch()
    assert sorted(matching(f"{tmp_path}/**/*.jpg")) == sorted(map(str, files))


def test_names_that_begin_as_pictures_do_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "P1 200.jpg").write_bytes(png())
    (tmp_path / "list").write_text("P1 200.jpg\n")
    assert len(open_sources(["list"])) == 1


def test_files_anywhere_are_listed_once_and_the_rest_is_left_out(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(pictures)
    (pictures / "notes.txt").write_text("none")
    zipped(pictures / "a.zip", {"a.png": png()})
    os.mkfifo(pictures / "fifo")
    given = ["b/0.png", f"{pictures}/b/1.png", "./b/../b/0.png", "b", "notes.txt", "a.zip", "fifo", "gone.png"]
    source = ListedSource(given)
    root = str(pictures)[1:]
    assert places(source) == [("files", f"{root}/b/1.png"), ("files", f"{root}/b/0.png"), ("files", f"{root}/gone.png")]
    assert reasons(source) == {
        "named more than once": 1,
        "folders in a list": 1,
        "not pictures (.txt)": 1,
        "archives in a list (.zip)": 1,
        "neither files nor folders": 1,
    }
    assert source.found == len(given)
    assert (source.roots, source.complete) == ({"files": "/"}, False)
    *there, gone = source.items()
    assert all(set(STAMP) <= set(item.payload) for item in there)
    assert there[0].open().tobytes() == picture(11).tobytes()
    with pytest.raises(ImageError, match=r"gone\.png does not exist"):
        gone.content()


def test_an_entry_that_can_be_no_path_is_a_problem_and_the_rest_is_taken(pictures: Path):
    source = ListedSource([f"{pictures}/b/0.png", "a\0b", f"{pictures}/b/1.png"])
    assert [Path(uri).name for _, uri in places(source)] == ["0.png", "1.png"]
    assert [reason for _, reason in source.problems] == ["a\\x00b is no path"]


def test_an_address_that_names_no_object_is_a_problem_and_the_rest_is_taken():
    source = ListedSource(["s3://photos", "s3://photos/", "gs://photos/a/", "s3://photos/a/1.png"])
    assert [uri for _, uri in places(source)] == ["s3://photos/a/1.png"]
    assert [reason.partition(";")[0] for _, reason in source.problems] == [
        "s3://photos names no object",
        "s3://photos/ names no object",
        "gs://photos/a/ names no object",
    ]


def test_what_a_listed_file_needs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "1.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setattr(formats, "_installed", lambda library: library != "pillow_heif")
    (tmp_path / "2.png").write_bytes(png())
    (left,) = ListedSource([f"{tmp_path}/1.heic", f"{tmp_path}/2.png"]).left_out
    assert (left.reason, left.hint) == ("HEIF pictures", "to read them: pip install '.[heic]' in cbir's folder")


def test_a_list_in_a_file_may_be_ended_by_nul(tmp_path: Path):
    for name in ("two\nlines.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "list").write_text(f"{tmp_path}/two\nlines.png\0{tmp_path}/b.png\0")
    assert len(open_sources([str(tmp_path / "list")], null_separated=True)) == 2


def test_each_root_of_several_has_what_was_chosen_for_it(tmp_path: Path, pictures: Path):
    zipped(tmp_path / "a.zip", {"a.png": png(), "b.png": png(1)})
    for shard in "ab":
        tarred(tmp_path / f"{shard}.tar", [("a.png", png()), ("b.png", png(1))])

    def chosen(root: Path) -> Choice:
        return Choice(exclude=["b.png"] if root == tmp_path / "a.zip" else ["0.png"] if root == pictures else ["a.png"])

    source = open_sources([f"{tmp_path}/a.zip", str(pictures), f"{tmp_path}/*.tar"], choice=chosen)
    assert {uri for source, uri in places(source) if source != "pictures"} == {"a.png", "a.tar/b.png", "b.tar/b.png"}
    assert len(source) == 3 + 4


def test_files_in_a_known_root_belong_to_it(pictures: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(pictures)
    picture().save(tmp_path / "other.png")
    listed = ListedSource([f"{tmp_path}/link/b/0.png", f"{tmp_path}/other.png", f"{pictures}/b/1.png"])
    roots = {"outer": str(tmp_path), "inner": f"{pictures}/b", "elsewhere": "/nowhere", "like": f"{pictures}/"[:-2]}
    source = listed.rooted(roots)
    assert places(source) == [("inner", "0.png"), ("outer", "other.png"), ("inner", "1.png")]
    renamed = source.renamed({"inner": "x"})
    assert [source for source, _ in places(renamed)] == ["x", "outer", "x"]
    assert set(renamed.roots) == {"outer", "x"}
    assert set(listed.rooted({"inner": f"{pictures}/b"}).roots) == {"inner", "files"}
    assert places(pickle.loads(pickle.dumps(renamed))) == places(renamed)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_of_any_bytes_are_listed_and_read(tmp_path: Path):
    names = [
        b"new\nline.png",
        b"\xff\xfe.png",
        "e\u0301.png".encode(),
        "\u00e9.png".encode(),
        b"\x1b[31m.png",
        b" .png",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(png())
    stdin = io.BytesIO(b"".join(os.fsencode(tmp_path) + b"/" + name + b"\0" for name in names))
    source = open_sources(["-"], null_separated=True, stdin=stdin)
    assert [item.content() for item in source.items()] == [png()] * len(names)
    assert len(set(places(source))) == len(names)
    for _, uri in places(source):
        assert uri.encode()


def test_addresses_are_fetched_when_they_are_read(server, tmp_path: Path):  # noqa: F811
    (tmp_path / "list.txt").write_text(f"{server.url}/picture\n{server.url}/nothing\n{server.url}/picture\n")
    source = open_sources([str(tmp_path / "list.txt")], allow_private=True)
    assert source.name == "list"
    assert not server.asked
    good, bad = sorted(source.items(), key=lambda item: item.uri, reverse=True)
    assert good.place == ("addresses", f"{server.url}/picture")
    assert good.content()
    assert not set(STAMP) & set(good.payload)
    with pytest.raises(ImageError, match="404"):
        bad.content()
    assert source.roots == {}
    (left,) = source.left_out
    assert (left.reason, left.count, left.examples) == ("named more than once", 1, (f"{server.url}/picture",))
    refused = open_sources([f"{server.url}/picture"])
    with pytest.raises(ImageError, match="private network"):
        next(refused.items()).content()


def test_arguments_of_all_kinds_are_one_source(pictures: Path, tmp_path: Path):
    zipped(tmp_path / "a.zip", {"a.png": png()})
    picture().save(tmp_path / "single.png")
    source = open_sources(
        [f"{tmp_path}/a.zip", str(pictures), f"{tmp_path}/single.png", f"{pictures}/b", f"{pictures}/b/0.png", "digits"]
    )
    assert source.name == "a"
    assert source.roots == {"a": f"{tmp_path}/a.zip", "pictures": str(pictures), "files": "/"}
    assert len(source) == 1 + 6 + 1 + 1500
    assert len(source) == len(places(source)) == len(set(places(source)))
    assert reasons(source) == {"in a folder that is read as a whole": 1}
    assert source.found == len(source) + 1 + len(source.queries()) * 0
    assert source.complete
    assert source.unlisted == [("files", "")]
    few = source.limited(9)
    assert len(few) == len(places(few)) == 9
    assert {place[0] for place in places(few)} == {"a", "pictures", "files", "digits"}
    renamed = source.renamed({"pictures": "album"})
    assert set(renamed.roots) == {"a", "album", "files"}


def test_roots_of_the_same_name_are_told_apart(tmp_path: Path):
    for year in ("2023", "2024"):
        (tmp_path / year / "may").mkdir(parents=True)
        picture().save(tmp_path / year / "may" / "a.png")
    source = open_sources([f"{tmp_path}/2023/may", f"{tmp_path}/2024/may"])
    assert source.roots == {"may": f"{tmp_path}/2023/may", "may-2": f"{tmp_path}/2024/may"}
    assert places(source) == [("may", "a.png"), ("may-2", "a.png")]


def test_a_pattern_that_the_shell_has_left(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    source = open_sources(["pictures/**/*.png"])
    assert len(source) == 6
    zipped(tmp_path / "a.zip", {"a.png": png()})
    picture().save(tmp_path / "x.png")
    source = open_sources(["*"])
    assert source.roots == {"pictures": str(pictures), "a": f"{tmp_path}/a.zip", "files": "/"} or len(source) == 8
    assert len(source) == 8
    with pytest.raises(SourceError, match="matches nothing"):
        open_sources(["none/*.jpg"])


def test_shards_named_together_or_in_a_folder_of_their_own_have_one_root(tmp_path: Path):
    for shard in "ab":
        tarred(tmp_path / f"{shard}.tar", [(f"{shard}.png", png())])
    (tmp_path / "stats.json").write_text("{}")
    whole, some = open_sources([str(tmp_path)]), open_sources([f"{tmp_path}/*.tar"])
    assert places(whole) == places(some) == [(tmp_path.name, "a.tar/a.png"), (tmp_path.name, "b.tar/b.png")]
    assert (whole.complete, some.complete) == (True, False)
    picture().save(tmp_path / "c.png")
    assert places(open_sources([str(tmp_path)])) == [(tmp_path.name, "c.png")]


def test_a_pipe_of_a_shell_is_a_list(pictures: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(f"{pictures}/b/0.png\n"), daemon=True)
    writing.start()
    source = open_sources([str(tmp_path / "pipe")])
    writing.join()
    assert places(source) == [("files", f"{str(pictures)[1:]}/b/0.png")]


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("nothing", "'nothing' is neither a folder, nor a file, nor a dataset"),
        ("x" * 5000, "is neither a folder"),
        ("a\0b", "is neither a folder"),
        ("empty", "empty is no picture, no archive"),
        ("prose.txt", "no list: the first lines of a list hold"),
        ("dangling", "a link that leads nowhere"),
    ],
)
def test_what_is_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, reason: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "prose.txt").write_text("It was a dark and stormy night.\n")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(SourceError, match=reason):
        open_sources([argument])


def test_lists_without_pictures_are_refused(tmp_path: Path):
    (tmp_path / "list.txt").write_text(f"{tmp_path}\n")
    with pytest.raises(SourceError, match=r"list lists no pictures \(1 folder in a list\)"):
        open_sources([str(tmp_path / "list.txt")])
    with pytest.raises(SourceError, match="lists no pictures"):
        open_sources(["-"], stdin=io.BytesIO(b""))
