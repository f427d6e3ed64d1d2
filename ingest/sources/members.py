"""The files within an archive: what the readers of zips, tars and Parquet files tell about them.

In: an archive's path. Out: its members, one after the other, and the content of
each. Nothing is unpacked to a file of a member's name, so no name can do harm;
what a member may become in memory is bounded.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from cbir.ingest.sources.source import SourceError
from cbir.model.picture import MAX_BYTES

#: A member of more bytes than this is not read if it unpacks to more than `MOST_TIMES` its packed size: no picture
#: worth finding packs that well, but a bomb does.
PLAIN_BYTES, MOST_TIMES = 64 << 20, 200


class ArchiveError(SourceError):
    """A file that is no archive, or of a kind that is not read."""


@dataclass(frozen=True)
class Member:
    """A file within an archive.

    Attributes
    ----------
    name : str
        As the archive has it: it may be absolute, contain `..`, or come twice.
    size : int
        Bytes of its content; -1 if only reading it tells.
    modified : int
        In nanoseconds since 1970, 0 if unknown. Zips have local time to two seconds; it is taken as UTC, so that it is
        the same number everywhere.
    place : tuple of int
        How the archive's reader finds it again: (offset, packed size, method, CRC-32) in a zip, (offset,) in a tar,
        (number,) in a compressed tar or a table.
    problem : str
        Why it cannot be read; empty if it can, as far as its header says.
    left_out : str
        What it is, if it is no file of its own: a link.
    head : bytes
        As many of its first bytes as were asked for; fewer, or none, if they cannot be read.
    columns : Mapping
        What stands beside it, where the archive is a table.
    """

    name: str
    size: int
    modified: int
    place: tuple[int, ...]
    problem: str = ""
    left_out: str = ""
    head: bytes = b""
    columns: Mapping[str, Any] = field(default_factory=dict)


#: Given a member's name and size, how many of its first bytes are wanted.
Wanted: TypeAlias = Callable[[str, int], int]


class Members(Protocol):
    """An archive that is read: a zip, a tar, or a Parquet file."""

    @property
    def problems(self) -> list[str]:
        """What is wrong with the archive itself; known once its members are listed."""
        ...

    @property
    def forward_only(self) -> bool:
        """Whether members are best read in the archive's order, as it is compressed as a whole."""
        ...

    @property
    def beside(self) -> bool:
        """Whether what has a picture's name but for the ending says something about it, as in WebDataset's tars."""
        ...

    @property
    def checked(self) -> bool:
        """Whether a member's `place` holds a checksum of its content."""
        ...

    def listed(self, wanted: Wanted) -> Iterator[Member]:
        """Yield the members, without folders, in the archive's order. What is damaged ends it early."""
        ...

    def read(self, member: Member, most: int = MAX_BYTES) -> bytes:
        """Return a member's content; safe in any thread.

        Raises
        ------
        MemberError
            It is damaged, encrypted, too large, or the archive cannot be read any more; without a name.
        """
        ...


class MemberError(Exception):
    """Why a member cannot be read, to be put behind its name."""


def refuse_size(size: int, packed: int, most: int) -> str:
    """Return why a member of `size` bytes, packed into `packed`, is not read; empty if it is."""
    if size > most:
        return f"has {size / 1e9:.1f} GB; more than {most / 1e9:.1f} GB are not read"
    if size > PLAIN_BYTES and size > MOST_TIMES * packed:
        return f"unpacks from {packed / 1e6:.1f} to {size / 1e6:.0f} MB, as no picture does"
    return ""
