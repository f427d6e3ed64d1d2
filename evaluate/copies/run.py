"""A stored run of edited copies: where each search had the original, so that counting again needs no search.

In: places of originals, and what came first instead. Out: one compressed
`.npz` file, which carries the number of its format.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cbir.core.atomic import write_atomic
from cbir.core.stored import a_list, a_text, a_whole_number, an_object, parse_object
from cbir.evaluate.run import RunError

#: Hits looked at: the original is first, among these, or not found.
DEPTH = 10
#: Raised when an older cbir would read a new file wrongly.
_FORMAT = 1
_FACTS = ("collection", "database", "about")


@dataclass(frozen=True)
class Edit:
    """A way to edit: its name for people, and as `--distort` takes it."""

    name: str
    distortion: str


@dataclass(frozen=True)
class Stored:
    """A stored picture: the id, source and uri of its point."""

    id: str
    source: str
    uri: str

    @classmethod
    def of(cls, point: str, payload: Mapping[str, Any]) -> "Stored":
        """Make one from a point's id and payload."""
        return cls(point, str(payload.get("source", "")), str(payload.get("uri", "")))


@dataclass(frozen=True)
class Miss:
    """A search whose first hit was not the original.

    Attributes
    ----------
    picture, edit : int
        Which original, and which way it was edited.
    found : Stored
        What came first.
    closeness : float
        Its distance divided by the original's: the lower, the worse the miss.
    """

    picture: int
    edit: int
    found: Stored
    closeness: float


@dataclass(frozen=True)
class Row:
    """A way to edit, and the shares of pictures whose original came first, and among the first ten."""

    edit: str
    first: float
    among_ten: float


@dataclass(frozen=True)
class CopiesRun:
    """Where the searches with e edits of m pictures had the originals.

    Attributes
    ----------
    collection : str
    database : int
        Images in the collection.
    edits : tuple of Edit
    pictures : tuple of Stored
    places : ndarray of int8, shape (m, e)
        Place of the original among the hits, the first being 0; -1: not among the first ten.
    misses : tuple of Miss
        All of them.
    unreadable : tuple of (str, str)
        Uris of stored pictures that could not be opened, and why; they are not among `pictures`.
    about : dict
        Seed, encoder and model, date, and other facts for people.
    """

    collection: str
    database: int
    edits: tuple[Edit, ...]
    pictures: tuple[Stored, ...]
    places: np.ndarray
    misses: tuple[Miss, ...]
    unreadable: tuple[tuple[str, str], ...]
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table, a row for each edit."""
        first, among = (self.places == 0).mean(axis=0), (self.places >= 0).mean(axis=0)
        return tuple(
            Row(edit.name, float(one), float(ten)) for edit, one, ten in zip(self.edits, first, among, strict=True)
        )

    @property
    def mean(self) -> Row:
        """The mean of the rows."""
        return Row("mean", float((self.places == 0).mean()), float((self.places >= 0).mean()))


def save_copies(run: CopiesRun, path: Path) -> None:
    """Write a run, completely or not at all."""
    facts = {
        "format": _FORMAT,
        **{name: getattr(run, name) for name in _FACTS},
        "edits": [asdict(edit) for edit in run.edits],
        "pictures": [asdict(picture) for picture in run.pictures],
        "misses": [asdict(miss) for miss in run.misses],
        "unreadable": run.unreadable,
    }
    content = io.BytesIO()
    np.savez_compressed(content, facts=json.dumps(facts), places=run.places)
    with content.getbuffer() as held:  # released also if it cannot be written
        write_atomic(path, held)


def load_copies(path: Path) -> CopiesRun:
    """Read a run.

    Raises
    ------
    RunError
        Missing, not a run of edited copies, or written by a newer cbir.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            facts = parse_object(str(stored["facts"]))
            number = a_whole_number(facts.get("format", 1), "format", least=1)
            if number <= _FORMAT:
                return _read(facts, stored["places"])
    except FileNotFoundError:
        raise RunError(f"no run {path}; make one with: cbir evaluate") from None
    except Exception as error:
        raise RunError(f"{path} is not a stored run of edited copies, or is damaged") from error
    raise RunError(
        f"{path} was written by a newer cbir (format {number}; this one reads up to {_FORMAT}): upgrade cbir"
    )


def holds_copies(path: Path) -> bool:
    """Tell whether a file is a stored run of edited copies; it may be damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return "places" in stored
    except Exception:  # noqa: BLE001 - whoever reads it says what is wrong with it
        return False


def _read(facts: dict[str, Any], places: np.ndarray) -> CopiesRun:
    edits = tuple(
        Edit(a_text(edit["name"], "name"), a_text(edit["distortion"], "distortion"))
        for edit in a_list(facts["edits"], "edits")
    )
    pictures = tuple(_stored(picture) for picture in a_list(facts["pictures"], "pictures"))
    misses = tuple(
        Miss(int(miss["picture"]), int(miss["edit"]), _stored(miss["found"]), float(miss["closeness"]))
        for miss in a_list(facts["misses"], "misses")
    )
    if places.dtype.kind != "i" or places.shape != (len(pictures), len(edits)) or not places.size:
        raise ValueError("not a place for each picture and edit")
    if sorted((miss.picture, miss.edit) for miss in misses) != [tuple(miss) for miss in np.argwhere(places).tolist()]:
        raise ValueError("not what came first for each miss")
    return CopiesRun(
        collection=a_text(facts["collection"], "collection"),
        database=a_whole_number(facts["database"], "database", least=1),
        about=an_object(facts["about"], "about"),
        edits=edits,
        pictures=pictures,
        places=places,
        misses=misses,
        unreadable=tuple(
            (a_text(uri, "uri"), a_text(reason, "reason")) for uri, reason in a_list(facts["unreadable"], "unreadable")
        ),
    )


def _stored(picture: dict[str, Any]) -> Stored:
    return Stored(*(a_text(picture[name], name) for name in ("id", "source", "uri")))
