"""What a command prints: documents on standard output, messages on standard error.

Here text from outside (names of files, labels, whatever a payload holds) becomes text that any terminal, pipe or file
takes: in one line, without what moves a cursor, and in the encoding of where it goes. Kept apart from `terminal`, which
draws tables and bars and takes longer to import.
"""

import codecs
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import typer

from cbir.core.errors import CbirError
from cbir.core.stored import json_text
from cbir.core.uris import shown

_STANDARD = (0, 1, 2)
#: Where a message has a new line. Other white space may be part of a name.
_LINES = re.compile(r"[ \t]*\n\s*")


def prepare_streams() -> None:
    """Let nothing that is printed be an error for want of a letter in the encoding of a terminal or a pipe."""
    with suppress(OSError):  # the lowest number is free: no file of ours may take the place of a closed stream
        while (number := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
            pass
        os.close(number)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def printable(text: str, stream: TextIO | None) -> str:
    r"""Return text as it may be printed on a stream.

    Parameters
    ----------
    text : str
        What another program, or a person, may have written.
    stream : text file or None
        Letters that its encoding lacks are escaped, as `\u5199`, before a table measures them.

    Returns
    -------
    str
        In one line: see `cbir.core.uris.shown`.
    """
    text = shown(text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def writing() -> Iterator[None]:
    """Say that standard output cannot be written, such as to a full disk, in an error of ours."""
    try:
        yield
    except BrokenPipeError:  # its reader needs no more
        raise
    except OSError as error:
        discard_output()
        raise CbirError(f"standard output cannot be written: {error.strerror or error}") from None


def discard_output() -> None:
    """Let what is still to be written to standard output, at exit too, go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(document: Any, indent: int | None = 2) -> None:
    """Print a JSON document on standard output; without an indent in one line.

    It is UTF-8, and ASCII where the output has another encoding; see `cbir.core.stored.json_text`.
    """
    with writing():
        typer.echo(json_text(document, indent, ascii_only=not _is_utf_8(sys.stdout)))


def print_paths(paths: Iterable[str], *, null: bool = False) -> None:
    """Print paths on standard output, each once: for other programs as they are, and on a terminal as names are shown.

    Parameters
    ----------
    paths : iterable of str
        Bytes that are not UTF-8 are surrogates, as `os` has them.
    null : bool
        Put a NUL behind each, not a newline, which may be part of a name.
    """
    if sys.stdout is None:
        return
    unique = dict.fromkeys(paths)
    with writing():
        if sys.stdout.isatty():
            for path in unique:
                typer.echo(printable(path, sys.stdout))
            return
        end = b"\0" if null else b"\n"
        stream = typer.get_binary_stream("stdout")
        stream.write(b"".join(_bytes_of(path) + end for path in unique))
        stream.flush()


def note(message: str) -> None:
    """Print a line on standard error; where nobody can read it, there is nobody to be told."""
    text = f"cbir: {printable(_LINES.sub(' ', message.strip()), sys.stderr)}"
    with suppress(OSError):
        if _above:
            _above[-1](text)
        else:
            typer.echo(text, err=True)


@contextmanager
def notes_above(write: Callable[[str], object]) -> Iterator[None]:
    """Let another function print the notes while the block runs: one that knows what else is drawn on the terminal."""
    _above.append(write)
    try:
        yield
    finally:
        _above.remove(write)


_above: list[Callable[[str], object]] = []


def _is_utf_8(stream: TextIO | None) -> bool:
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


def _bytes_of(path: str) -> bytes:
    """Return a path as the system has it; in an encoding that lacks its letters, as systems have it that have UTF-8."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape")
