"""Flags are made from dataclasses of options: what a dataclass declares is what can be typed."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import typer
from typer.testing import CliRunner

from cbir.cli.errors import handle_errors
from cbir.cli.options import options_from
from cbir.core.options import option


@dataclass(frozen=True)
class Declared:
    k: int = option(10, "Hits.", least=1)
    max_distance: float | None = option(None, "Farthest.", least=0, most=2)
    exact: bool = option(False, "Compare with every point.")
    warn: bool = option(True, "Warn.")
    index: bool | None = option(None, "Build one.")
    order: str = option("near", "Order.", choices=("near", "far"))
    among: Sequence[str] = option((), "One of these; may be repeated.")


@pytest.fixture
def invoke():
    seen = []

    @handle_errors
    @options_from(Declared)
    def command(name: str, *, options: Declared, last: int = 3) -> None:
        seen.append((name, options, last))

    app = typer.Typer()
    app.command()(command)

    def run(*arguments: str) -> tuple[int, str, list[object]]:
        seen.clear()
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.output, list(seen)

    return run


def test_what_is_not_given_has_its_default(invoke):
    assert invoke("x") == (0, "", [("x", Declared(), 3)])


def test_every_type_is_a_flag(invoke):
    given = (
        "-k",
        "5",
        "--max-distance",
        "1.5",
        "--exact",
        "--no-warn",
        "--no-index",
        "--order",
        "far",
        "--among",
        "one",
        "--among",
        "two words",
        "--last",
        "4",
        "x",
    )
    assert invoke(*given) == (0, "", [("x", Declared(5, 1.5, True, False, False, "far", ("one", "two words")), 4)])


@pytest.mark.parametrize(
    "wrong", [("-k", "0"), ("--max-distance", "3"), ("--max-distance", "-1"), ("--order", "best"), ("-k", "many")]
)
def test_a_wrong_value_is_wrong_usage(invoke, wrong: tuple[str, str]):
    code, output, seen = invoke(*wrong, "x")
    assert (code, seen) == (2, [])
    assert wrong[0] in output


def test_help_is_the_declared_one(invoke):
    _, output, _ = invoke("--help")
    for text in ("Hits.", "[default: 10]", "Farthest.", "--exact", "--no-warn", "near|far"):
        assert text in output
