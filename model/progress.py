"""How long work tells that it advances, without knowing who listens.

A room calls `progress(stage, done, total, note)`; the command line draws bars
from it, a script may pass its own function, and `silent` ignores it.
"""

from typing import Protocol


class Progress(Protocol):
    """Called often and cheaply; `total` is None while it is unknown."""

    def __call__(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        """Report that `done` of `total` steps of a stage are done."""
        ...


def silent(stage: str, done: int, total: int | None, note: str = "") -> None:
    """Report to nobody."""
