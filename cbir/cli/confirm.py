"""Asking before something is removed.

In: what will be removed, printed already. Out: yes or no. Where nobody can answer (a script, a pipe), only `--yes` is
a yes.
"""

import sys

import typer

from cbir.core.errors import CbirError


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask a question on the terminal; Enter alone is no.

    Parameters
    ----------
    question : str
    yes : bool
        `--yes`: it is answered already.

    Raises
    ------
    CbirError
        There is no terminal to ask on.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CbirError("nothing was removed: there is no terminal to ask on; --yes removes what is listed")
    return typer.confirm(question, default=False, err=True)
