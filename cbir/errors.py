"""The one base class of every error that a user is meant to read.

Each room raises its own subclass where the trouble is understood; the command
line catches this class in one place and prints it as one line.
"""


class CbirError(Exception):
    """What went wrong and what to do about it, in one sentence or two."""
