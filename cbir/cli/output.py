"""What a command prints: documents on standard output, messages on standard error.

Kept apart from `terminal`, which draws tables and bars and takes longer to import.
"""

import json
import os
import re
from collections.abc import Iterable
from typing import Any

import typer

from cbir.core.uris import shown


def print_json(document: Any, indent: int | None = 2) -> None:
    """Print a JSON document on standard output; without an indent in one line."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # Half characters, as paths that are not UTF-8 have them, as JSON spells them.
    typer.echo(text.encode(errors="backslashreplace").decode())


def print_paths(paths: Iterable[str], *, null: bool) -> None:
    """Print paths on standard output as they are, each once: for other programs.

    Parameters
    ----------
    paths : iterable of str
        Bytes that are not UTF-8 are surrogates, as `os` has them.
    null : bool
        Put a NUL behind each, not a newline, which may be part of a name.
    """
    end = b"\0" if null else b"\n"
    stream = typer.get_binary_stream("stdout")
    stream.write(b"".join(os.fsencode(path) + end for path in dict.fromkeys(paths)))
    stream.flush()


def note(message: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"cbir: {shown(_LINES.sub(' ', message.strip()))}", err=True)


#: Where a message has a new line. Other white space may be part of a name.
_LINES = re.compile(r"[ \t]*\n\s*")
