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

from cbir.core.errors import CbirError, CbirWarning

_SWITCH = "CBIR_DEBUG"


def show_tracebacks() -> None:
    """Print tracebacks as well, from now on."""
    os.environ[_SWITCH] = "1"


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that no traceback reaches a user who did not ask for it."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        warnings.showwarning = _show_warning
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except CbirError as error:
            _fail(str(error), 1)
        except KeyboardInterrupt:
            _fail("stopped; whatever was stored stays, and the same command, typed again, goes on from there", 130)
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing may be flushed to it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:  # noqa: BLE001 - a defect of ours: say so, in one line
            _fail(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it", 1)

    return run


def note(message: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"cbir: {' '.join(message.split())}", err=True)


def _fail(message: str, code: int) -> None:
    if os.environ.get(_SWITCH):
        traceback.print_exc()
    note(message)
    raise typer.Exit(code)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show ours; other libraries' are for developers."""
    if issubclass(category, CbirWarning):
        note(f"warning: {message}")
