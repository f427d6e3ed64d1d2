"""Which of several copies of a picture to keep, and why.

In: what is known of each copy. Out: the one to keep, and the reason in words. In
turn count: pixels, that nothing is laid over it or around it, the camera's own data
in the file, colour, bytes (less was lost by compression), and age (what was there
first was not made of the others).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Sizes that differ by less are the same: margins are found to a few pixels.
_SAME_PIXELS = 0.95


@dataclass(frozen=True)
class Copy:
    """What decides about a copy.

    Attributes
    ----------
    id : str
    pixels : float
        Of the picture itself, without plain margins, a frame or a screen around it.
    covered : bool
        Whether something is known to be laid over it, or put around it.
    camera : bool
        Whether the file says when or with what the picture was taken.
    grey : bool
    bytes : int
        Size of the file; 0 if unknown.
    modified : int
        When the file was last changed, in nanoseconds since 1970; 0 if unknown.
    uri : str
        Decides where nothing else does.
    """

    id: str
    pixels: float
    covered: bool
    camera: bool
    grey: bool
    bytes: int
    modified: int
    uri: str


def best(copies: Sequence[Copy]) -> tuple[Copy, str]:
    """Choose the copy to keep.

    Parameters
    ----------
    copies : sequence of Copy
        At least one.

    Returns
    -------
    Copy
    str
        Why: `most pixels`, `as many pixels, largest file`, ...
    """
    left, same, reason = list(copies), "", ""
    for words, equal, keeps in _RULES:
        found = keeps(left)
        if len(found) < len(left):
            reason = f"{same}{words}"
            left = found
        if len(left) == 1:
            break
        if equal:
            same = equal
    if len(left) > 1:
        reason = f"{same}first by name"
    return min(left, key=lambda copy: (copy.uri, copy.id)), reason


def _most_pixels(copies: Sequence[Copy]) -> list[Copy]:
    most = max(copy.pixels for copy in copies)
    return [copy for copy in copies if copy.pixels >= _SAME_PIXELS * most]


def _oldest(copies: Sequence[Copy]) -> list[Copy]:
    known = [copy.modified for copy in copies if copy.modified]
    if len(known) < len(copies):
        return list(copies)
    first = min(known)
    return [copy for copy in copies if copy.modified == first]


def _largest(copies: Sequence[Copy]) -> list[Copy]:
    most = max(copy.bytes for copy in copies)
    return [copy for copy in copies if copy.bytes == most]


def _with_camera(copies: Sequence[Copy]) -> list[Copy]:
    return [copy for copy in copies if copy.camera] or list(copies)


def _uncovered(copies: Sequence[Copy]) -> list[Copy]:
    return [copy for copy in copies if not copy.covered] or list(copies)


def _in_colour(copies: Sequence[Copy]) -> list[Copy]:
    return [copy for copy in copies if not copy.grey] or list(copies)


#: The reason in words, what is said before later reasons, and which copies are left.
_RULES: tuple[tuple[str, str, Callable[[Sequence[Copy]], list[Copy]]], ...] = (
    ("most pixels", "as many pixels, ", _most_pixels),
    ("nothing laid over it or around it", "", _uncovered),
    ("has the camera's data", "", _with_camera),
    ("in colour", "", _in_colour),
    ("largest file", "as many pixels and bytes as others, but ", _largest),
    ("oldest file", "", _oldest),
)
