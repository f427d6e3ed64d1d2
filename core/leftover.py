"""What lies on disk and nothing uses any more: files of processes that were killed, results of what is gone.

Each room finds its own (`leftovers` in `collection/embedded/`, `model/` and `evaluate/`); this is what they return, and
what they have in common.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cbir.core.disk import entries, size_on_disk
from cbir.core.partial import is_left, is_partial


@dataclass(frozen=True)
class Leftover:
    """Something on disk that nothing uses.

    Attributes
    ----------
    kind : str
        `model`, `run`, `checkpoint` (of a training), `points` (of no collection), `map` (of a collection on a server
        that is gone) or `partial` (half written).
    path : Path
        A file or a folder.
    bytes : int
        That it takes on disk.
    reason : str
        Why it is one.
    """

    kind: Literal["model", "run", "checkpoint", "points", "map", "partial"]
    path: Path
    bytes: int
    reason: str


def partials(folder: Path, of: Path | None = None) -> Iterator[Leftover]:
    """Yield what was left half written in a folder, and that nobody writes any more; only `of` that path, if given."""
    for path in entries(folder):
        if is_partial(path, of) and is_left(path):
            yield Leftover("partial", path, size_on_disk(path), "half written, by a process that was stopped")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it; OSError if that is not possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
