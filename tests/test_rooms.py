"""The design's table of who may import whom, held against the code."""

import ast
from pathlib import Path

import pytest

ROOMS = {
    "model": set(),
    "collection": set(),
    "ingest": {"model", "collection"},
    "search": {"model", "collection"},
    "cbir": {"model", "collection", "ingest", "search", "cbir"},
}
ROOT = Path(__file__).parents[1]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(str(node.module))
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_design_allows(room: str):
    for path in (ROOT / room).rglob("*.py"):
        for name in imported(path):
            home = name.split(".")[0]
            if home in ROOMS and name != "cbir.errors":
                assert home in ROOMS[room] | {room}, f"{path} imports {name}"


def test_every_room_is_packaged_and_typed():
    for room in ROOMS:
        assert (ROOT / room / "py.typed").is_file()
        assert f'"{room}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
