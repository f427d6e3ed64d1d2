"""docs/architecture.md: its map names the files there are, and its examples are applied to a copy and tried."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("collection", "core", "evaluate", "ingest", "model", "search")
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
#: Existing files that each example may touch, by a word of its heading.
EXAMPLES = {"option of a search": 2, "encoder": 0, "field": 1, "score": 1, "format": 1, "command": 0}

TRY = """
import json, sys
from pathlib import Path
from PIL import Image
from typer.testing import CliRunner
import cbir
from cbir.cli import app
from cbir.collection.fields import indexes_needed
from cbir.model.formats import SUFFIXES

def run(*arguments):
    done = CliRunner().invoke(app, arguments)
    assert not done.exit_code, done.output
    return done.stdout

report = cbir.ingest("digits", encoder="mean-color:grid=4", limit=60)
assert report.model.metadata["recipe"] == {"grid": 4} and report.model.dimension == 16
assert "grid" in run("encoders", "mean-color")
labels = json.loads(run("labels", "--json"))
assert sum(row["images"] for row in labels) == 60 and "images" in run("labels")
with cbir.open() as digits:
    hits = digits.search("digits:database/7", 60)
    assert len(hits) == 60 and digits.search("digits:database/7", 5, skip=10) == hits[10:15]
    assert len(digits.search("digits:database/7", 5, where={"index": [8]})) == 1
    assert not digits.search("digits:database/7", 5, where={"index": [1000]})
page = json.loads(run("search", "digits:database/7", "--skip", "58", "--json"))
assert [hit["id"] for hit in page["queries"][0]["hits"]] == [hit.id for hit in hits[58:]]
assert set(indexes_needed([{"index": 8}])) == {"index"}
scored = cbir.evaluate(queries=20)
assert 0 < scored.scores.mrr <= 1 and scored.as_json()["mrr"] == scored.scores.mrr
assert f"MRR {scored.scores.mrr:.3f}" in run("evaluate", "--queries", "20")
pictures = Path(sys.argv[1])
pictures.mkdir()
for number in range(3):
    Image.new("RGB", (40, 40), (0, 80 * number, 90)).save(pictures / f"{number}.qoi")
assert cbir.ingest(pictures, encoder="pixels").points == 3
"""


def examples() -> dict[str, str]:
    """Return each example's heading and diff."""
    sections = re.findall(r"^### \.\.\. (.*?)\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found = {heading: re.findall(r"```diff\n(.*?)```", text, re.DOTALL) for heading, text in sections}
    # An empty line of context is a space in a diff, and nothing in a page.
    return {
        heading: re.sub(r"^$(?=\n)", " ", diffs[0], flags=re.MULTILINE) for heading, diffs in found.items() if diffs
    }


def test_the_map_names_every_file_and_no_other():
    rooms = PAGE[PAGE.index("## The map") : PAGE.index("## The way")]
    named = {}
    for room, text in re.findall(r"^### `(\w+)/`.*?\n(.*?)(?=^### |\Z)", rooms, re.MULTILINE | re.DOTALL):
        named[room] = set(re.findall(r"`([\w/]+)`", text))
    assert set(named) == {*ROOMS, "cbir"}
    for room in named:
        files = {path.relative_to(ROOT / room).with_suffix("").as_posix() for path in (ROOT / room).rglob("*.py")}
        files = {name for name in files if not name.endswith("__init__") and name.split("/")[0] not in ROOMS}
        assert named[room] == files, room


def test_every_path_it_names_exists():
    for path in re.findall(r"`([\w/]+/[\w/]*\.?\w+)`", PAGE[PAGE.index("## The way") :]):
        if path.split("/")[0] in (*ROOMS, "cbir", "tests") and path != "model/pretrained/":
            assert (ROOT / path).exists(), path


def test_the_examples_touch_few_files_and_work(tmp_path: Path):
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed: the examples are applied with it")
    copy = tmp_path / "copy"
    for folder in (*ROOMS, "cbir"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    found = examples()
    assert len(found) == len(EXAMPLES)
    for word, most in EXAMPLES.items():
        (diff,) = (diff for heading, diff in found.items() if word in heading)
        assert len(re.findall(r"^--- (?!/dev/null)", diff, re.MULTILINE)) <= most, word
        done = subprocess.run([git, "apply", "-p0", "-"], input=diff, text=True, cwd=copy, capture_output=True)
        assert not done.returncode, f"{word}: {done.stderr}"
    environment = {**os.environ, "PYTHONPATH": str(copy), "CBIR_HOME": str(tmp_path / "home"), "CBIR_DEBUG": ""}
    command = [sys.executable, "-c", TRY, str(tmp_path / "pictures")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
