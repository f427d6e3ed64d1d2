"""Which file it is, by the SHA-256 of its content.

In: a path. Out: 64 hexadecimal digits, or whether they are the expected ones.
With a folder for notes, a file of a gigabyte is read once and not whenever it is
used: while it has not changed, what was found out about it is kept.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sha256(path: Path, sha256: str, notes: Path | None = None) -> bool:
    """Tell whether there is a file with this SHA-256 that can be read; `notes` is a folder to write to, if possible."""
    try:
        return path.is_file() and (sha256_of(path) == sha256 if notes is None else _noted(path, sha256, notes))
    except OSError:
        return False


def _noted(path: Path, sha256: str, notes: Path) -> bool:
    note = notes / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}.json"
    before = _state(path)
    with suppress(OSError, ValueError, RecursionError):
        if json.loads(note.read_bytes()) == [before, sha256]:
            return True
    if sha256_of(path) != sha256:
        return False
    with suppress(OSError):
        notes.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps([before, sha256]), encoding="utf-8")
    return True


def _state(path: Path) -> list[int]:
    """Return what changes with a file; its `ctime` does even where somebody sets the `mtime` back."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
