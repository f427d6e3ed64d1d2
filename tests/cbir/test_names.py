"""What `cbir` offers by name, as functions and as commands: each is a file, and is found."""

import ast
import importlib
import inspect
import sys
from pathlib import Path

import pytest
import typer
import typer.main

import cbir
from cbir import cli
from tests.commands import run

PACKAGE = Path(cbir.__file__).parent
VERBS = {path.stem for path in (PACKAGE / "verbs").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("name", cbir.__all__)
def test_a_public_name_is_the_function_or_the_type_of_that_name(name: str):
    for module in ("cbir.ingest.job", "cbir.evaluate.run", "cbir.verbs.open"):  # subpackages with a verb's name
        importlib.import_module(module)
    value = getattr(cbir, name)
    assert value.__name__ == name
    assert value.__doc__
    assert inspect.isfunction(value) if name in VERBS else inspect.isclass(value)
    assert not inspect.isfunction(value) or value.__module__ == f"cbir.verbs.{name}"


def test_public_names_stay():
    assert set(cbir.__all__) >= {
        *("CbirError", "CbirWarning", "Comparison", "Evaluation", "Hit", "Overview", "QueryWarning", "Report"),
        *("Robustness", "Searcher", "Snapshot", "Transferred", "compare", "denoise", "evaluate", "evaluate_distorted"),
        *("ingest", "open", "overview", "pull", "push", "restore", "snapshot"),
        *("Moved", "Pruned", "Removal", "move", "prune", "remove", "watch"),
    }
    assert set(cbir.__all__) >= VERBS
    assert dir(cbir) == cbir.__all__
    with pytest.raises(AttributeError):
        _ = cbir.nothing


def test_type_checkers_see_the_same():
    """The imports under TYPE_CHECKING give what `__getattr__` gives; a verb without one works, but has no types."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    imported = {alias.asname: (node.module, alias.name) for node in block.body for alias in node.names}
    assert imported.keys() <= set(cbir.__all__)
    assert len(imported) > 20
    for name, (module, original) in imported.items():
        assert getattr(importlib.import_module(module), original) is getattr(cbir, name)


def test_a_command_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    code = 'import typer\n\ndef hello(name: str) -> None:\n    """Greet."""\n    typer.echo(f"hello {name}")\n'
    (tmp_path / "hello.py").write_text(code)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    assert run("hello", "world").stdout == "hello world\n"
    assert "Greet." in run("--help").stdout
    del sys.modules["cbir.cli.hello"], cli.hello


def test_help_lists_the_commands_in_the_order_of_use():
    group = typer.main.get_command(cli.app)
    names = group.list_commands(typer.Context(group))
    assert names[:2] == ["ingest", "search"]
    printed = run("--help").stdout
    places = [printed.index(f" {name} ") for name in names]
    assert places == sorted(places)
    assert all(group.get_command(typer.Context(group), name).help for name in names)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ingst", "cbir ingest"), ("Search", "cbir search"), ("evalute", "cbir evaluate"), ("xyz", None), ("", None)],
)
def test_a_slip_in_a_command_is_told(typed: str, meant: str | None):
    said = " ".join(run(typed, "photos", code=2).stderr.replace("│", "").split())
    assert f"No such command '{typed}'." in said
    assert ("Did you mean" in said) == (meant is not None)
    assert meant is None or f"Did you mean {meant}?" in said


def test_a_folder_in_the_place_of_a_command_is_told_what_to_do_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("holidays").mkdir()
    said = " ".join(run("holidays", code=2).stderr.replace("│", "").split())
    assert "Did you mean cbir ingest holidays or cbir search holidays?" in said
