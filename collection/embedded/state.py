"""What is remembered of a shard beside its points: whether whoever wrote to it last closed it.

In: a shard's folder. Out: a small file in it, replaced atomically: before the
first change `clean` becomes false, and true again at the end, with the number of
points. A process that is killed in between leaves it as it is, and then the next
opening checks the points.

Of the files that say where points are (not of those that hold vectors and
fields, whose points have checksums, nor of the graph), there is a CRC-32 each.
If one is another, the next opening checks the points as well.
"""

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from cbir.core.atomic import write_atomic
from cbir.core.stored import read_object

_NAME = "cbir-state.json"
#: Folders, and beginnings of files' names, that are large and are not looked at when a collection is opened.
_LARGE = ("wal", "vectors", "vector_index", "temp_segments")
_PAGES = ("matrix.", "page_")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class State:
    """The state of a shard.

    Attributes
    ----------
    clean : bool
        Whoever changed it last has closed it, and no check has found damage since.
    points : int
        When it was closed last, after a change.
    indexed : int
        Those of them in an HNSW index; -1 of a shard that an older cbir closed.
    signed : bool
        Every point has a checksum, since the first.
    updated : str
        That of the collection's metadata, when it was closed last: an older cbir, which writes no state, changes it.
    files : Mapping of str to int
        What `checksums` said when it was closed last; nothing of a new shard.
    """

    clean: bool = True
    points: int = 0
    indexed: int = -1
    signed: bool = False
    updated: str = ""
    files: Mapping[str, int] = field(default_factory=dict)

    def tells(self, updated: str) -> bool:
        """Tell whether its numbers are those of a shard whose collection's metadata are of this time."""
        return self.clean and self.indexed >= 0 and self.updated == updated and bool(self.files)


def read_state(shard: Path) -> State | None:
    """Return a shard's state; None if it has none, as those of an older cbir. One that cannot be read is not clean."""
    try:
        stored = read_object(shard / _NAME)
        stored.setdefault("indexed", -1)
        state = State(**{each.name: stored[each.name] for each in fields(State)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return State(clean=False)
    sound = [type(value) for value in asdict(state).values()] == [bool, int, int, bool, str, dict]
    return state if sound else State(clean=False)


def write_state(shard: Path, state: State) -> None:
    """Write a shard's state, or replace it; OSError if that is not possible."""
    write_atomic(shard / _NAME, json.dumps(asdict(state)).encode())


def is_untouched(shard: Path, state: State) -> bool:
    """Tell whether a shard's files, as far as they are looked at, are as they were when it was closed."""
    try:
        return not state.files or checksums(shard) == state.files
    except OSError:
        return False


def checksums(shard: Path) -> dict[str, int]:
    """Return the CRC-32 of each file of a shard, by its path in it, but for the large ones."""
    found = {}
    for place, folders, names in os.walk(shard):
        folders[:] = sorted(name for name in folders if name not in _LARGE)
        indexes = "payload_index" in Path(place).parts
        for name in sorted(names):
            if name != _NAME and not name.startswith(".") and (indexes or not name.startswith(_PAGES)):
                path = Path(place, name)
                found[path.relative_to(shard).as_posix()] = _crc(path)
    return found


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
