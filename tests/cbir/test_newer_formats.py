"""What a newer cbir wrote: every command says so, and no byte of it is changed; what is unknown to this one is kept."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cbir
from tests.commands import failure, run


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a collection, its model, and a run of each kind; beside it a snapshot."""
    place = tmp_path_factory.mktemp("newer") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place))
        cbir.ingest("digits", encoder="pixels")
        cbir.evaluate("digits", queries=5)
        cbir.evaluate_copies("digits")
        cbir.snapshot("digits", place.parent / "digits.cbir.zip")
        yield place


@pytest.fixture
def home(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    shutil.copytree(filled, place)
    shutil.copy(filled.parent / "digits.cbir.zip", tmp_path)
    monkeypatch.setenv("CBIR_HOME", str(place))
    monkeypatch.chdir(tmp_path)
    return place


def content_of(folder: Path) -> dict[Path, bytes]:
    """All files but empty ones, such as locks."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: content for path, content in files.items() if content}


def newer_json(path: Path) -> None:
    """What a newer cbir may write: another number, and everything else in another way."""
    kept = {name: value for name, value in json.loads(path.read_text()).items() if name in ("shard", "model")}
    path.write_text(json.dumps({"format": 99, "everything": ["is", "different"], **kept}))


def newer_run(path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    facts = json.loads(str(arrays["facts"]))
    np.savez(path, **{**arrays, "facts": np.array(json.dumps({**facts, "format": 99}))})


def newer_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    members["collection.json"] = json.dumps({"format": 99, "everything": 5}).encode()
    with zipfile.ZipFile(path, "w") as opened:
        for name, each in members.items():
            opened.writestr(name, each)


@pytest.mark.parametrize(
    ("pattern", "make_newer", "commands"),
    [
        (
            "home/collections/digits/collection.json",
            newer_json,
            [
                ["search", "digits:queries/0"],
                ["search", "digits:queries/0", "-c", "digits"],
                ["ingest", "digits"],
                ["ingest", "digits", "-c", "digits", "--retrain", "--encoder", "pixels"],
                ["remove", "digits", "--yes"],
                ["snapshot", "digits", "--save", "new.zip"],
                ["evaluate", "-c", "digits"],
                ["move", "/a", "/b"],
            ],
        ),
        (
            "home/models/digits/model.json",
            newer_json,
            [["search", "digits:queries/0"], ["ingest", "digits"], ["evaluate", "-c", "digits"]],
        ),
        ("digits.cbir.zip", newer_archive, [["restore", "digits.cbir.zip", "-c", "other"]]),
        ("home/runs/*/run.npz", newer_run, [["evaluate", "--from-run", "PATH"]]),
        ("home/runs/*/copies.npz", newer_run, [["evaluate", "--from-run", "PATH"]]),
    ],
    ids=["collection", "model", "archive", "run", "copies"],
)
def test_every_command_says_so_and_changes_nothing(
    home: Path, pattern: str, make_newer: Callable[[Path], None], commands: list[list[str]]
):
    path = sorted(home.parent.glob(pattern))[0]
    make_newer(path)
    before = content_of(home.parent)
    for command in commands:
        message = failure(*(str(path) if part == "PATH" else part for part in command))
        assert "newer cbir" in message, command
        assert message.endswith("upgrade cbir"), command
        assert "damaged" not in message
    for command in (["info"], ["prune", "--yes"]):
        run(*command)
    assert content_of(home.parent) == before


def test_a_newer_model_is_not_taken_by_the_name_of_a_new_one(home: Path):
    newer_json(home / "models" / "digits" / "model.json")
    before = content_of(home / "models" / "digits")
    run("ingest", "digits", "--retrain", "--encoder", "pixels")
    assert content_of(home / "models" / "digits") == before
    assert (home / "models" / "digits-2" / "model.json").is_file()


@pytest.mark.parametrize("file", ["collections/digits/collection.json", "models/digits/model.json"])
def test_what_a_newer_cbir_added_is_kept_by_everything_that_writes(home: Path, file: str):
    added: dict[str, Any] = {"a newer key": {"with": ["anything", 1, None]}}
    path = home / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **added}))
    for command in (
        ["ingest", "digits"],
        ["remove", "digits", "--where", "label=3", "--yes"],
        ["ingest", "digits"],
        ["snapshot", "digits", "--save", "new.cbir.zip"],
        ["restore", "new.cbir.zip", "-c", "again"],
    ):
        run(*command)
        assert json.loads(path.read_text()).items() >= added.items()
    if "collections" in file:
        again = json.loads((home / "collections" / "again" / "collection.json").read_text())
        assert again.items() >= added.items()
    with zipfile.ZipFile("new.cbir.zip") as archive:
        assert (
            "a newer key"
            in archive.read("collection.json" if "collections" in file else "attached/model.json").decode()
        )
