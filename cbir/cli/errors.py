"""The one place where errors and warnings become messages.

In: whatever a command raises. Out: one line on standard error and an exit
code: 1 for an error, 130 after Ctrl-C (2, for wrong usage, is Typer's).
"""

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import typer

from cbir.cli.output import note
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
                sys.stdout.flush()
            except typer.Exit:
                raise
            except CbirError as error:
                _exit(str(error), 1)
            except KeyboardInterrupt:
                _exit("stopped. Nothing stored is lost. Run the same command again to continue.", 130)
            except BrokenPipeError:
                # The reader of our output, such as `head`, has closed it; nothing may be flushed to it at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except Exception as error:  # noqa: BLE001 - a defect of ours: report it in one line
                _exit(f"unexpected {type(error).__name__}: {error}. Run again with --debug and report it.", 1)

    return run


def _exit(message: str, code: int) -> None:
    if os.environ.get(_DEBUG):
        traceback.print_exc()
    note(message)
    raise typer.Exit(code)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show our own warnings; other libraries' are for developers."""
    if issubclass(category, CbirWarning):
        note(f"warning: {message}")
