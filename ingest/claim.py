"""What is known of stored contents and their places while an ingest goes on: what `cbir.ingest.places` answers with."""

from dataclasses import dataclass
from enum import IntEnum

from cbir.collection.place import Place

#: Number of a place, whether it is the first one of a file whose payload is complete, its label, and its stamp.
Glance = tuple[int, bool, int | str | None, int | None, int | None, int | None, int | None]


class State(IntEnum):
    """What is known of a stored place."""

    UNSEEN = 0  # not listed by the source, or not yet
    SURE = 1  # listed, and it shows the stored content
    UNSURE = 2  # listed, and it may show another content
    DISPLACED = 3  # it shows another content, which is stored
    DROPPED = 4  # to be taken off its point


@dataclass(frozen=True)
class Claim:
    """A stored point says that its content is at a place.

    Attributes
    ----------
    number, content : int
        Of the place and of the content in the table.
    id : str
        The point's.
    sha256 : str or None
        Of the content; None for an image of a dataset, and for what an old cbir stored.
    detailed : bool
        Whether the payload has what is read from the picture's file, such as its format.
    place : Place
    first : bool
        Whether it is the point's first place, which its label describes.
    state : State
    added : bool
        By this ingest, as a copy.
    """

    number: int
    content: int
    id: str
    sha256: str | None
    detailed: bool
    place: Place
    first: bool
    state: State
    added: bool


@dataclass(frozen=True)
class Content:
    """A stored content, or one that is about to be stored.

    Attributes
    ----------
    number : int
        In the table.
    id : str
        The point's.
    detailed : bool
        As of `Claim`.
    problem, located : str or None
        Why it cannot be read, and the file that says so.
    """

    number: int
    id: str
    detailed: bool
    problem: str | None = None
    located: str | None = None
