"""What was chosen of a folder is remembered by its collection, and counts until something else is given."""

import json
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from cbir.ingest.roots import open_known
from tests.commands import failure, run
from tests.conftest import picture
from tests.ingest.sources.test_archive import png, tarred, zipped


@pytest.fixture
def root(home: Path, tmp_path: Path) -> Path:
    """Pictures, drafts, and a hidden one, of which the first are ingested by a first choice."""
    for number, name in enumerate(("a/1.png", "a/2.png", "b/1.png", "drafts/1.png", ".hidden/1.png")):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(tmp_path / "root" / name)
    report = cbir.ingest(tmp_path / "root", encoder="pixels", exclude=["drafts/"], labels="none")
    assert (report.points, report.choices) == (3, {str(tmp_path / "root"): {"exclude": ["drafts/"], "labels": "none"}})
    return tmp_path / "root"


def uris(home: Path, name: str = "root") -> set[str]:
    with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
        return {payload["uri"] for page in collection.scroll() for payload in page.payloads}


def test_what_is_not_given_is_as_before(home: Path, root: Path):
    again = cbir.ingest(root)
    assert (again.found, again.unchanged, again.left_out_count, again.gone) == (5, 3, 2, 0)
    more = cbir.ingest(root, hidden=True)
    assert more.choices[str(root)] == {"exclude": ["drafts/"], "hidden": True, "labels": "none"}
    assert uris(home) == {"a/1.png", "a/2.png", "b/1.png", ".hidden/1.png"}
    assert cbir.ingest(root, retrain=True).choices == more.choices
    assert (cbir.ingest(root, labels="folder").choices[str(root)])["exclude"] == ["drafts/"]
    afresh = cbir.ingest(root, forget_options=True, exclude=["b/"])
    assert afresh.choices == {str(root): {"exclude": ["b/"]}}
    assert cbir.ingest(root, forget_options=True).choices == {str(root): {}}
    assert EmbeddedEngine(home / "collections").metadata("root").choices == {}


def test_it_is_said_and_typed_defaults_count(home: Path, root: Path):
    said = run("ingest", root)
    assert f"as before, --exclude drafts/ --labels none counts for {root}: --forget-options" in said.stderr
    document = json.loads(run("ingest", root, "--labels", "auto", "--json").stdout)
    assert document["choices"] == {str(root): {"exclude": ["drafts/"]}}
    message = failure("ingest", root, "--include", "drafts/")
    assert message.endswith("as before, --exclude drafts/ counts: --forget-options takes all anew")
    assert "as before" not in run("ingest", root, "--exclude", "a/").stderr
    assert "as before" not in run("ingest", root, "--forget-options").stderr


def test_each_root_has_its_own_and_keeps_it_where_it_moves(home: Path, root: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for name in ("1.png", "drafts/2.png"):
            picture(20 + len(name)).save(tmp_path / "member.png")
            archive.write(tmp_path / "member.png", name)
    both = cbir.ingest(tmp_path / "more.zip", collection="root", exclude=["1.png"])
    assert both.choices == {str(tmp_path / "more.zip"): {"exclude": ["1.png"]}}
    moved = root.rename(tmp_path / "elsewhere")
    with pytest.warns(cbir.CbirWarning, match="takes its place"):
        again = cbir.ingest([moved, tmp_path / "more.zip"], collection="root")
    assert (again.unchanged, again.ingested, again.left_out_count) == (4, 0, 3)
    assert again.choices[str(moved)] == {"exclude": ["drafts/"], "labels": "none"}
    assert uris(home) == {"a/1.png", "a/2.png", "b/1.png", "drafts/2.png"}


@pytest.mark.parametrize("kind", ["zip", "folder of shards", "some shards"])
def test_an_archive_that_moves_keeps_what_was_chosen_of_it(home: Path, tmp_path: Path, kind: str):
    folder = tmp_path / "folder"
    folder.mkdir()
    members = [(name, png(number)) for number, name in enumerate(f"{n}.png" for n in range(1, 7))]
    if kind == "zip":
        path = zipped(folder / "all.zip", dict(members))
    else:
        for number, member in enumerate(members):
            tarred(folder / f"{number}.tar", [member])
        path = folder
    first = cbir.ingest(path, collection="c", encoder="pixels", exclude=["1.png"])
    assert (first.points, first.choices) == (5, {str(path): {"exclude": ["1.png"]}})
    folder.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / path.relative_to(folder)
    given = [moved / f"{number}.tar" for number in range(4)] if kind == "some shards" else [moved]
    with pytest.warns(cbir.CbirWarning, match="takes its place"):
        again = cbir.ingest(given, collection="c", prune=True, force=True)
    # Of the shards that are not given nothing can be said.
    assert (again.unchanged, again.points) == (3 if kind == "some shards" else 5, 5)
    assert (again.ingested, again.gone, again.pruned) == (0, 0, 0)
    assert again.choices == {str(moved): {"exclude": ["1.png"]}}


def test_files_of_a_folder_that_are_listed_do_not_change_what_is_chosen_of_it(home: Path, root: Path):
    cbir.ingest(root / "drafts" / "1.png", collection="root")
    metadata = EmbeddedEngine(home / "collections").metadata("root")
    assert metadata.choices == {"root": {"exclude": ["drafts/"], "labels": "none"}}


def test_a_source_that_is_opened_again_has_what_was_chosen_of_it(home: Path, root: Path):
    metadata = EmbeddedEngine(home / "collections").metadata("root")
    items = list(open_known("root", metadata).items())
    assert {(item.uri, item.label) for item in items} == {("a/1.png", None), ("a/2.png", None), ("b/1.png", None)}
    newer = replace(metadata, choices={"root": {**metadata.choices["root"], "of a newer cbir": 7}})
    assert len(open_known("root", newer)) == 3
    damaged = replace(metadata, choices={"root": {"exclude": 7}})
    with pytest.raises(CollectionError, match=r"earlier ingest cannot be used: exclude must be a sequence.*--forget"):
        open_known("root", damaged)


def test_a_table_of_labels_is_found_from_another_folder(home: Path, root: Path, monkeypatch: pytest.MonkeyPatch):
    (root / "labels.csv").write_text("uri,label\na/1.png,cat\n")
    monkeypatch.chdir(root)
    cbir.ingest(root, labels="labels.csv")
    monkeypatch.chdir("/")
    assert cbir.ingest(root).choices[str(root)]["labels"] == str(root / "labels.csv")


def test_what_is_left_out_now_is_not_called_gone(home: Path, root: Path, tmp_path: Path):
    (root / "a" / "1.png").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        said = run("ingest", "root", "--exclude", "b/").stderr
    assert "1 stored picture is gone from root: cbir ingest ... --prune removes it" in said
    assert "1 stored picture is left out now, and still stored: cbir ingest ... --prune removes it" in said
    report = cbir.ingest(root, exclude=["a/", "b/"], hidden=True)
    assert (report.gone, report.unchosen, report.points) == (1, 2, 5)
    lines = [json.loads(line) for line in (report.file or root).read_text().splitlines()]
    assert {(line["what"], line["uri"]) for line in lines if line["what"] != "left out"} == {
        ("gone", "a/1.png"),
        ("unchosen", "a/2.png"),
        ("unchosen", "b/1.png"),
    }
    pruned = cbir.ingest(root, prune=True)
    assert (pruned.pruned, pruned.gone, pruned.unchosen) == (3, 0, 0)
    assert uris(home) == {"drafts/1.png", ".hidden/1.png"}


def test_much_that_is_left_out_by_mistake_is_not_pruned(home: Path, tmp_path: Path):
    (tmp_path / "root").mkdir()
    for seed in range(13):
        picture(seed).save(tmp_path / "root" / f"{seed}.png")
    with zipfile.ZipFile(tmp_path / "root.zip", "w") as archive:
        for path in (tmp_path / "root").iterdir():
            archive.write(path, f"in/{path.name}")
    for source in (tmp_path / "root", tmp_path / "root.zip"):
        name = source.name.replace(".", "-")
        cbir.ingest(source, encoder="pixels", collection=name)
        with pytest.warns(cbir.CbirWarning, match="12 of 13 stored pictures are there, and left out now"):
            kept = cbir.ingest(source, include=["0.png"], prune=True, collection=name)
        assert (kept.points, kept.gone, kept.unchosen) == (13, 0, 12)
        assert cbir.ingest(source, prune=True, force=True, collection=name).points == 1


def test_labels_that_come_and_go_are_told(home: Path, tmp_path: Path):
    for number, name in enumerate(("cats/1.png", "cats/2.png", "dogs/1.png")):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(tmp_path / "root" / name)
    root = tmp_path / "root"
    assert cbir.ingest(root, encoder="pixels").relabelled == 0
    picture(9).save(root / "beside.png")
    said = run("ingest", root).stderr
    assert "3 stored pictures have another label than before, and 3 none: a folder's name is a label where" in said
    assert "another label" not in run("ingest", root).stderr
    said = run("ingest", root, "--include", "cats/").stderr
    assert "2 stored pictures have another label than before: a folder's name" in said
    assert "another label" not in run("ingest", root, "--labels", "none").stderr
    report = cbir.ingest(root, forget_options=True, labels="folder")
    assert (report.updated, report.relabelled, report.unlabelled) == (3, 3, 0)


@pytest.mark.parametrize("path", ["~nosuchuser/x", "no\0thing", "x" * 5000, ""])
def test_a_path_that_is_none_is_told_as_before(home: Path, path: str):
    with pytest.raises(cbir.CbirError, match="is neither a folder"):
        cbir.ingest(path)
