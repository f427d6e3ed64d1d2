"""The base classes of every error and warning that a user is meant to read.

Each room raises its own subclass where the error is understood; the command
line catches these in one place and prints them as one line.
"""

import sys
import warnings


class CbirError(Exception):
    """What went wrong and what to do about it, in one sentence or two."""


class CbirWarning(UserWarning):
    """Something a user should know although the work goes on; the command line prints it as one line."""


def warn_caller(message: str, category: type[CbirWarning] = CbirWarning) -> None:
    """Warn at the line outside of this package that called into it, through however many functions."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(), 1  # Python 3.12 has `skip_file_prefixes`
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the class of the error if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
