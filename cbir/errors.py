"""The one base class of every error that a user is meant to read.

Each room raises its own subclass where the trouble is understood; the command
line catches this class in one place and prints it as one line.
"""


class CbirError(Exception):
    """What went wrong and what to do about it, in one sentence or two."""


def reason(error: BaseException) -> str:
    """Return the first line of what another library says, or the kind of error if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
