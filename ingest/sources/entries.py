"""The entries of a list: paths and addresses, one a line, or separated by NUL.

In: a text file, or standard input. Out: the entries, one after the other, as
they stand there: `find` and `ls` write them so. A relative path is relative to
the working directory, as for xargs.
"""

import glob
import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import IO

from cbir.core.objects import is_object
from cbir.ingest.sources.addresses import is_address
from cbir.ingest.sources.source import SourceError
from cbir.model.formats import SNIFFED_BYTES, sniff

#: An entry has no more bytes; what has is no list.
MOST_BYTES = 1 << 16
_CHUNK = 1 << 18
#: Entries of which one shows that it is a list.
_FIRST = 20
#: Endings of what is a source of its own, not an entry.
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVE_SUFFIXES = (".zip", *TARS, ".parquet")


def entries(file: IO[bytes], name: str, *, null_separated: bool = False) -> Iterator[str]:
    """Yield the entries of a list; memory does not grow with it.

    Parameters
    ----------
    file : binary file
    name : str
        Of the list, for messages.
    null_separated : bool
        Whether NUL ends an entry, and a line break is part of it; by default lines are entries.

    Yields
    ------
    str
        A path as `os` takes it, with surrogates for bytes that are not UTF-8, or an address; no empty lines.

    Raises
    ------
    SourceError
        It is no list, or cannot be read.
    """
    end = b"\0" if null_separated else b"\n"
    rest, first = b"", True
    while True:
        try:
            chunk = file.read(_CHUNK)
        except (OSError, ValueError) as error:
            raise SourceError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if first and (problem := _no_list(chunk, null_separated)):
            raise SourceError(f"{name} is no list of paths and addresses: {problem}")
        first = False
        *whole, rest = (rest + chunk).split(end)
        if not chunk and rest:
            whole, rest = [rest], b""
        if max(map(len, (rest, *whole))) > MOST_BYTES:
            raise SourceError(f"{name} is no list of paths and addresses: an entry has more than {MOST_BYTES:,} bytes")
        for entry in whole:
            text = os.fsdecode(entry if null_separated else entry.removesuffix(b"\r"))
            if text and "\0" not in text:
                yield text
        if not chunk:
            return


def looks_like_list(path: str) -> bool:
    """Tell whether a file may be a list: text, and among its first entries an address or something that exists."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path of any bytes
            head = file.read(SNIFFED_BYTES)
    except OSError:
        return False
    if _no_list(head, b"\0" in head):
        return False
    first = islice(filter(None, head.replace(b"\0", b"\n").splitlines()), _FIRST)
    return any(is_address(text) or is_object(text) or os.path.lexists(text) for text in map(os.fsdecode, first))


def is_pipe(path: str) -> bool:
    """Tell whether a path leads to what can be read once, such as a process's output: `<(find ...)` of a shell."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a path of any bytes
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and path in ("/dev/stdin", "/dev/fd/0"))


def matching(pattern: str) -> Iterator[str]:
    """Yield what a pattern matches that the shell has left as it is; `**` is any number of folders.

    In the order in which the system has them; hidden ones only if the pattern names them, as in a shell.
    """
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 - as above
    return glob.iglob(expanded, recursive=True)  # noqa: PTH207 - lists nothing in advance


def is_pattern(text: str) -> bool:
    """Tell whether a text has what makes it a pattern."""
    return glob.has_magic(text)


def _no_list(head: bytes, null_separated: bool) -> str:
    """Return why the beginning of a file is none of a list; empty if it may be one."""
    first = os.fsdecode(head.partition(b"\0" if null_separated else b"\n")[0])
    # Names may begin as pictures do: `P1 200.jpg`.
    if (picture := sniff(head)) is not None and ("\0" in first or not os.path.lexists(first)):
        return f"it is a picture ({picture})"
    if not null_separated and b"\0" in head:
        return "it has NUL bytes; if they separate the entries: -0"
    return ""
