"""The one place where errors and warnings become messages.

In: whatever a command raises. Out: one line on standard error and an exit
code: 1 for an error, 130 after Ctrl-C, 143 after SIGTERM (2, for wrong usage, is Typer's).
"""

import functools
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from cbir.cli.output import discard_output, note, printable, writing
from cbir.cli.stopping import CODES, Terminated
from cbir.core.disk import remedy
from cbir.core.errors import CbirError, CbirWarning

_DEBUG = "CBIR_DEBUG"


def show_tracebacks() -> None:
    """Print tracebacks as well, from now on."""
    os.environ[_DEBUG] = "1"


def handle_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that an error is printed as one line, and a traceback only if it was asked for."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("default", CbirWarning)
            warnings.showwarning = _show_warning
            try:
                command(*args, **kwargs)
                if sys.stdout is not None:
                    with writing():
                        sys.stdout.flush()
            except (typer.Exit, typer.BadParameter):  # wrong usage is printed as Typer prints what it finds itself
                raise
            except CbirError as error:
                _exit(str(error), 1)
            except KeyboardInterrupt as stop:
                code = CODES[signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT]
                _exit("stopped. Nothing stored is lost. Run the same command again to continue.", code)
            except BrokenPipeError:
                # The reader of our output, such as `head`, has closed it; nothing may be flushed to it at exit.
                discard_output()
            except OSError as error:
                # The system's, not ours, where it names a file: no permission, too long a name, a broken disk.
                if error.filename is None:
                    _exit(_unexpected(error), 1)
                _exit(f"cannot use {error.filename}: {error.strerror or error}; {remedy(error)}name another place", 1)
            except Exception as error:  # noqa: BLE001 - a defect of ours: report it in one line
                _exit(_unexpected(error), 1)

    return run


@contextmanager
def printable_usage() -> Iterator[None]:
    """Make what Typer prints of wrong usage printable: it repeats what was typed, which may be a name of a file."""
    try:
        yield
    except Exception as error:
        if (told := getattr(error, "format_message", None)) is not None:
            text = "\n".join(printable(line, sys.stderr) for line in told().split("\n"))
            error.format_message = lambda: text  # type: ignore[attr-defined]
        raise


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}: {error}. Run again with --debug and report it."


def _exit(message: str, code: int) -> None:
    if os.environ.get(_DEBUG):
        for line in traceback.format_exc().splitlines():
            typer.echo(printable(line, sys.stderr), err=True)
    note(message)
    raise typer.Exit(code)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show our own warnings; other libraries' are for developers."""
    if issubclass(category, CbirWarning):
        note(f"warning: {message}")
