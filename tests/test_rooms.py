"""The house: which room may import which, held against the code (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Each room, and those it may import: all arrows run down.
ROOMS = {
    "core": set(),
    "model": {"core"},
    "collection": {"core"},
    "ingest": {"core", "model", "collection"},
    "search": {"core", "model", "collection"},
    "evaluate": {"core", "model", "collection", "ingest", "search"},
    "cbir": {"core", "model", "collection", "ingest", "search", "evaluate"},
}


def files(room: str) -> list[Path]:
    """Return a room's files; the faces' are those in `cbir/` that are no other room's."""
    found = sorted((ROOT / room).rglob("*.py"))
    linked = [ROOT / "cbir" / other for other in ROOMS]
    return [path for path in found if not any(link in path.parents for link in linked)]


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "cbir" else ("cbir", *parts))
    return name.removesuffix(".__init__")


def room_of(name: str) -> str | None:
    """Return the room of a module of ours."""
    package, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return None if package != "cbir" else first if first in ROOMS else "cbir"


def imports(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Yield what a file imports, inside functions too; modules named in strings are imported lazily."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"cbir(\.\w+)+", str(node.value)):
            yield str(node.value)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_design_allows(room: str):
    assert files(room)
    for path in files(room):
        for name in imports(path):
            assert name.partition(".")[0] not in ROOMS.keys() - {"cbir"}, f"{path} imports {name}, not cbir.{name}"
            assert room_of(name) in {None, room} | ROOMS[room], f"{path} imports {name}"


def test_no_circle_of_imports():
    paths = {module(path): path for room in ROOMS for path in files(room)}
    graph = {
        name: {
            target if target in paths else target.rpartition(".")[0]
            for target in imports(path, for_types=False)
            if target in paths or target.rpartition(".")[0] in paths
        }
        for name, path in paths.items()
    }
    for name in graph:
        seen: set[str] = set()
        waiting = set(graph[name])
        while waiting:
            current = waiting.pop()
            assert current != name, f"{name} is imported by what it imports"
            seen.add(current)
            waiting |= graph[current] - seen


def test_every_room_is_part_of_the_package_and_of_the_wheel():
    wheel = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for room in ROOMS.keys() - {"cbir"}:
        assert (ROOT / "cbir" / room).resolve() == ROOT / room
        assert f'{room} = "cbir/{room}"' in wheel


def test_no_file_does_too_much():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for room in ROOMS for path in files(room)}
    assert {path: length for path, length in lengths.items() if length > 400} == {}
