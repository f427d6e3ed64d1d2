"""What is remembered of a shard beside its points: whether whoever wrote to it last closed it.

In: a shard's folder. Out: a small file in it, replaced atomically: before the
first change `clean` becomes false, and true again at the end, with the number of
points. A process that is killed in between leaves it as it is, and then the next
opening checks the points.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cbir.core.atomic import write_atomic

_NAME = "cbir-state.json"


@dataclass(frozen=True)
class State:
    """The state of a shard.

    Attributes
    ----------
    clean : bool
        Whoever changed it last has closed it, and no check has found damage since.
    points : int
        When it was closed last, after a change.
    signed : bool
        Every point has a checksum, since the first.
    updated : str
        That of the collection's metadata, when it was closed last: an older cbir, which writes no state, changes it.
    """

    clean: bool = True
    points: int = 0
    signed: bool = False
    updated: str = ""


def read_state(shard: Path) -> State | None:
    """Return a shard's state; None if it has none, as those of an older cbir. One that cannot be read is not clean."""
    try:
        stored = json.loads((shard / _NAME).read_text(encoding="utf-8"))
        state = State(**{each.name: stored[each.name] for each in fields(State)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return State(clean=False)
    sound = [type(value) for value in asdict(state).values()] == [bool, int, bool, str]
    return state if sound else State(clean=False)


def write_state(shard: Path, state: State) -> None:
    """Write a shard's state, or replace it; OSError if that is not possible."""
    write_atomic(shard / _NAME, json.dumps(asdict(state)).encode())
