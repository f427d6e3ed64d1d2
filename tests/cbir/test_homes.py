"""Homes that are none, that cannot be read, or not written: the right words, and searches wherever that is possible.

Tests run as any user, root included, who may read and write everything: those of permissions start processes that
have given up that right.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionBusyError, CollectionError
from cbir.collection.home import embedded_engine
from cbir.core.settings import read_settings
from tests.commands import Finished, failure

SETPRIV = shutil.which("setpriv")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PLAIN = [SETPRIV, "--bounding-set=-all", "--inh-caps=-all"] if ROOT and SETPRIV else []
permissions = pytest.mark.skipif(
    sys.platform == "win32" or (ROOT and SETPRIV is None), reason="needs permissions that count for this user"
)


#: Runs commands, one for each line: to start a process for each took a second of each.
RUNNING = """
import json, os, sys, tempfile
from typer.testing import CliRunner
from cbir.cli import app
for line in sys.stdin:
    asked, environment = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    done = CliRunner().invoke(app, asked)
    print(json.dumps([done.exit_code, done.stdout, done.stderr]), flush=True)
"""

Plain = Callable[..., Finished]


@pytest.fixture(scope="module")
def run_plain() -> Iterator[Plain]:
    """Run a command in a process that may do what a plain user may do with the files of this user."""
    with subprocess.Popen(
        [*PLAIN, sys.executable, "-c", RUNNING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        ask, told = process.stdin, process.stdout
        assert ask is not None
        assert told is not None

        def run(*arguments: str, code: int = 0) -> Finished:
            print(json.dumps([arguments, dict(os.environ)]), file=ask, flush=True)
            exit_code, *printed = json.loads(told.readline())
            assert exit_code == code, printed
            return Finished(*printed)

        yield run


@pytest.fixture
def own(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A CBIR_HOME with the digits, whose permissions a test may change."""
    place = tmp_path / "own"
    shutil.copytree(digits, place)
    monkeypatch.setenv("CBIR_HOME", str(place))
    yield place
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            os.chmod(os.path.join(folder, name), 0o700)  # noqa: PTH101, PTH118


def forbid(*paths: Path, mode: int = 0) -> None:
    for path in paths:
        path.chmod(mode)


def forbid_writing(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(path.stat().st_mode & 0o555)


COMMANDS = (["info"], ["search", "x.png"], ["ingest", "digits"], ["snapshot"], ["prune", "--yes"], ["move", "/a", "/b"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("~nosuchuser/x", "CBIR_HOME is ~nosuchuser/x, and there is no user nosuchuser; name a folder"),
        ("/tmp/" + "x" * 300, "File name too long; name another place with CBIR_HOME"),
        ("/tmp/" + "x/" * 5000, "File name too long; name another place with CBIR_HOME"),
        (__file__, "it is not a folder; name another place with CBIR_HOME"),
        (f"{__file__}/home", "Not a directory; name another place with CBIR_HOME"),
    ],
    ids=["nobody's", "long name", "long path", "a file", "in a file"],
)
def test_what_cannot_be_a_home_is_refused(place: str, said: str, command: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", place)
    message = failure(*command)
    assert message.endswith(said)
    assert "unexpected" not in message
    assert "free" not in message


@pytest.mark.parametrize("folder", ["collections", "models"])
def test_a_file_where_a_folder_should_be_is_not_taken_for_nothing(home: Path, folder: str):
    home.mkdir()
    (home / folder).touch()
    message = failure("info")
    assert f"cannot read {home / folder}: Not a directory; name another place with CBIR_HOME" in message
    if folder == "collections":
        for command in COMMANDS[1:]:
            assert f"cannot read {home / folder}: Not a directory" in failure(*command)
    assert (home / folder).is_file()


def test_an_unused_tilde_of_another_argument_names_nothing(home: Path):
    assert "~nosuchuser does not exist; make it first" in failure("search", "x.png", "--save", "~nosuchuser/x.png")
    assert "does not exist" in failure("restore", "~nosuchuser/x.zip")


@permissions
def test_a_home_that_cannot_be_written_is_searched_in_a_copy(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_plain: Plain
):
    (tmp_path / "copies").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))
    before = json.loads(run_plain("search", "digits:queries/0", "--json").stdout)
    forbid_writing(own)
    found = run_plain("search", "digits:queries/0", "--json")
    assert json.loads(found.stdout) == before
    assert f"collection 'digits' cannot be written where it is ({own / 'collections' / 'digits'})" in found.stderr
    assert "a copy of it is used" in found.stderr
    assert list((tmp_path / "copies").iterdir()) == []
    for command in (
        ["ingest", "digits", "-c", "digits"],
        ["ingest", "digits", "-c", "other"],
        ["remove", "digits", "--yes"],
        ["evaluate", "--queries", "3"],
    ):
        message = run_plain(*command, code=1).stderr.splitlines()[-1]
        assert "Permission denied; check the permissions, or name another place" in message
        assert "free" not in message


@permissions
def test_what_is_in_the_copy_is_read_only(own: Path):
    script = """
        import warnings; warnings.simplefilter("ignore")
        import numpy as np
        from cbir.collection.embedded.engine import EmbeddedEngine
        from cbir.collection.errors import CollectionError
        import sys; from pathlib import Path
        opened = EmbeddedEngine(Path(sys.argv[1])).open("digits")
        (ids, *_), = ((page.ids, page) for page in opened.scroll(vectors=False))
        for use in (
            lambda: opened.upsert(ids[:1], np.ones((1, opened.metadata.dimension), np.float32), [{}]),
            lambda: opened.replace_payloads(ids[:1], [{}]),
            lambda: opened.delete(ids[:1]),
            lambda: opened.remember(opened.metadata),
        ):
            try:
                use()
            except (CollectionError, OSError) as error:
                print(error)
    """
    forbid_writing(own)
    code = "\n".join(line[8:] for line in script.splitlines())
    command = [*PLAIN, sys.executable, "-c", code, str(own / "collections")]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert len(printed) == 4
    assert all("nothing may be written" in line for line in printed)


@permissions
def test_a_collection_that_cannot_be_read_is_not_damaged_and_spoils_no_other(own: Path, run_plain: Plain):
    collections = own / "collections"
    shutil.copytree(collections / "digits", collections / "whole")
    card = collections / "digits" / "collection.json"
    forbid(card)
    listed = run_plain("info").stdout.replace("\n", " ")
    assert f"digits: cannot read {card}: Permission denied; check the permissions" in listed
    assert "collection 'whole'" in run_plain("search", "digits:queries/0").stderr
    assert "which model collection 'digits' uses is not known: cannot read" in run_plain("prune", "--yes").stderr
    # Not even where it is to be replaced: what it holds may be what somebody else looks for.
    for command in (
        ["ingest", "digits", "-c", "digits", "--retrain", "--encoder", "pixels"],
        ["remove", "digits", "--yes"],
    ):
        message = run_plain(*command, code=1).stderr.splitlines()[-1]
        assert "collection.json: Permission denied; check the permissions" in message
        assert "damaged" not in message
    card.chmod(0o600)
    forbid(collections / "digits")
    assert "digits: cannot read" in run_plain("info").stdout.replace("\n", " ")
    assert "collection 'whole'" in run_plain("search", "digits:queries/0").stderr
    run_plain("prune", "--yes")
    forbid(collections / "whole" / "collection.json", mode=0o600)
    collections.joinpath("digits").chmod(0o700)
    assert json.loads(run_plain("info", "--json").stdout)["collections"][0]["points"] == 1500


@permissions
@pytest.mark.parametrize("folder", ["collections", "models", "models/digits", "."])
def test_folders_that_cannot_be_read_are_named(own: Path, folder: str, run_plain: Plain):
    forbid(own / folder)
    try:
        message = run_plain("search", "digits:queries/0", code=1).stderr.splitlines()[-1]
    finally:
        forbid(own / folder, mode=0o700)
    assert f"cannot read {own / folder}".removesuffix("/.") in message
    assert "Permission denied; check the permissions" in message
    assert "damaged" not in message


@permissions
def test_a_copy_is_not_made_while_another_process_may_write(own: Path):
    from cbir.collection.embedded.unwritable import copied

    (shard,) = (own / "collections" / "digits").glob("shard-*")
    with pytest.warns(UserWarning, match="a copy of it is used"):
        copied(shard, "digits").cleanup()
    opened = embedded_engine(read_settings()).open("digits")
    try:
        with pytest.raises(CollectionBusyError, match="'digits' is in use by another process"):
            copied(shard, "digits")
    finally:
        opened.close()


def test_a_shard_that_is_damaged_is_not_copied(own: Path, tmp_path: Path):
    (shard,) = (own / "collections" / "digits").glob("shard-*")
    shutil.rmtree(shard)
    with pytest.raises(CollectionError, match="rebuild it with"):
        EmbeddedEngine(own / "collections", timeout=0).open("digits")
