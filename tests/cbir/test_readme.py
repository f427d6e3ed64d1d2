"""README and guide must stay true to what can be typed."""

import re
from pathlib import Path

import pytest
import typer
import typer.main

from cbir.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
CONTEXT = typer.Context(GROUP)
COMMANDS = {name: GROUP.get_command(CONTEXT, name) for name in GROUP.list_commands(CONTEXT)}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_explained(name: str):
    assert f"cbir {name}" in README
    assert f"cbir {name}" in GUIDE
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")}
    missing = {option for option in options if not re.search(rf"{option}(?![\w-])", GUIDE)}
    assert not missing


@pytest.mark.parametrize("page", [README, GUIDE], ids=["README", "guide"])
def test_every_option_it_names_exists(page: str):
    known = {o for c in COMMANDS.values() for p in c.params for o in (*p.opts, *p.secondary_opts)} | {"--debug"}
    ours = re.sub(r"docker compose [^`\n]*", "", page)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) <= known


def test_every_picture_and_make_target_exists():
    for folder, page in ((ROOT, README), (ROOT / "docs", GUIDE)):
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page):
            assert (folder / picture).is_file()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"alone"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
