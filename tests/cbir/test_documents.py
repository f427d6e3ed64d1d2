"""With --json there is one document on standard output and nothing else, whatever the command."""

import ast
import json
from pathlib import Path

import pytest

from cbir.cli import _commands
from cbir.collection.served.engine import ServedEngine
from tests.commands import run
from tests.conftest import picture
from tests.test_rooms import ROOT

#: What may print: the pieces that make text printable, and the version, which is ours.
PRINTING = {"cbir/cli/output.py", "cbir/cli/terminal.py", "cbir/cli/errors.py", "cbir/cli/__init__.py"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders, to be ingested into the home beside it."""
    folder = tmp_path_factory.mktemp("documents") / "photos"
    for number in range(6):
        (folder / f"[red]{number % 2}").mkdir(parents=True, exist_ok=True)
        picture(number, (70, 70)).save(folder / f"[red]{number % 2}" / f"{number}.png")
    (folder / "bad.png").write_text("no picture")  # a note on standard error
    return folder


def test_every_command_prints_one_document(photos: Path, digits: Path, tmp_path: Path, served: ServedEngine):
    home = str(photos.with_name("home"))
    image = photos / "[red]0" / "0.png"
    given = {
        "ingest": [photos, "--encoder", "pixels"],
        "search": [image, photos / "bad.png", image, "--save", tmp_path / "strip.png", "-k", 3],
        "embed": [image],
        "duplicates": ["--save", tmp_path / "sheet.png"],
        "evaluate": ["--copies"],
        "compare": ["--source", photos, "--encoder", "pixels"],
        "denoise": ["--save", tmp_path / "denoised.png", "-c", "digits"],
        "info": [],
        "encoders": ["photo"],
        "push": ["photos", "--qdrant-url", served.location],
        "pull": ["photos", "--qdrant-url", served.location],
        "snapshot": ["photos", "--save", tmp_path / "photos.zip"],
        "restore": [tmp_path / "photos.zip", "-c", "restored"],
        "move": [photos, tmp_path, "--dry-run"],
        "remove": ["restored", "--yes"],
        "prune": ["--dry-run"],
    }
    assert given.keys() == _commands() - {"serve", "mcp"}  # these go on until they are ended
    for command, arguments in given.items():
        code = 1 if command == "search" else 0
        place = str(digits) if command == "denoise" else home
        done = run(command, *arguments, "--json", code=code, CBIR_HOME=place)
        assert json.loads(done.stdout), command
        assert all(line.startswith("cbir: ") for line in done.stderr.splitlines()), command


def test_printing_is_in_one_place():
    """So that whatever is printed is made printable there: see `cbir.cli.output.printable`."""
    found = set()
    for room in ("cbir/cli", "cbir/verbs", "core", "collection", "model", "ingest", "search", "evaluate"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if name in ("print", "typer.echo", "typer.secho", "Console") or name.startswith(
                    ("sys.stdout.w", "sys.stderr.w")
                ):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == PRINTING
