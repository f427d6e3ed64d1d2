"""Errors and warnings become one line and an exit code, in one place."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cbir.cli import main
from cbir.cli.errors import handle_errors
from cbir.core.errors import CbirError, CbirWarning


def invoke(command: Callable[[], None]) -> Result:
    app = typer.Typer()
    app.command()(handle_errors(command))
    return CliRunner().invoke(app)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (CbirError("no such thing;\n  try another"), 1, "cbir: no such thing; try another\n"),
        (
            KeyboardInterrupt(),
            130,
            "cbir: stopped. Nothing stored is lost. Run the same command again to continue.\n",
        ),
        (ValueError("x"), 1, "cbir: unexpected ValueError: x. Run again with --debug and report it.\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error: BaseException, code: int, printed: str):
    def command() -> None:
        raise error

    result = invoke(command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", printed)


def test_our_warnings_are_lines_and_other_libraries_are_not():
    def command() -> None:
        warnings.warn("mind the gap", CbirWarning, stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("for developers", UserWarning, stacklevel=1)
        typer.echo("done")

    shown = warnings.showwarning
    for _ in range(2):  # in one process, as in two
        result = invoke(command)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "done\n", "cbir: warning: mind the gap\n")
    assert warnings.showwarning is shown


@pytest.mark.parametrize("arguments", [["--debug", "search", "x.png"], ["search", "x.png", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    home: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CBIR_DEBUG", "")  # so that it is reset afterwards
    monkeypatch.setattr(sys, "argv", ["cbir", *arguments])
    monkeypatch.setattr(
        "cbir.cli.stop_in_order", lambda: None
    )  # the signals of this process are those of all its tests
    with pytest.raises(SystemExit, match="1"):
        main()
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.strip().splitlines()[-1].startswith("cbir: ")
