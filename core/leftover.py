"""What lies on disk and nothing uses any more: files of processes that were killed, results of what is gone.

Each room finds its own (`leftovers` in `collection/embedded/`, `model/` and `evaluate/`); this is what they return, and
what they have in common.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cbir.core.disk import size_on_disk

#: Seconds without a write after which whatever wrote a file is taken to have been stopped for good.
ABANDONED_AFTER = 24 * 3600

#: A file or folder that was being written: `core/atomic.py` names it.
_PARTIAL = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.partial")


@dataclass(frozen=True)
class Leftover:
    """Something on disk that nothing uses.

    Attributes
    ----------
    kind : str
        `model`, `run`, `checkpoint` (of a training), `points` (of no collection) or `partial` (half written).
    path : Path
        A file or a folder.
    bytes : int
        That it takes on disk.
    reason : str
        Why it is one.
    """

    kind: Literal["model", "run", "checkpoint", "points", "partial"]
    path: Path
    bytes: int
    reason: str


def abandoned(path: Path) -> bool:
    """Tell whether a file, or all in a folder, was written to last more than `ABANDONED_AFTER` ago."""
    return time.time() - _last_written(path) > ABANDONED_AFTER


def partials(folder: Path) -> Iterator[Leftover]:
    """Yield what was left half written in a folder, and that nobody writes any more."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if _PARTIAL.fullmatch(path.name) and abandoned(path):
            yield Leftover("partial", path, size_on_disk(path), "half written, by a process that was stopped")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it; OSError if that is not possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _last_written(path: Path) -> float:
    latest = 0.0
    for each in (path, *path.rglob("*")):
        with contextlib.suppress(OSError):
            latest = max(latest, each.lstat().st_mtime)
    return latest
