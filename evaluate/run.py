"""A stored run: what searching many queries gave, so that scoring needs no search.

In: rankings. Out: one compressed `.npz` file: for each query which ranks hold
a relevant image and which tie with the rank before, one bit each, and the
first hits by id. 1,000 queries over 60,000 images take a few megabytes. The
file carries the number of its format; files before the first number have none.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cbir.core.atomic import write_atomic
from cbir.core.errors import CbirError
from cbir.core.stored import a_text, a_whole_number, an_object, parse_object, required
from cbir.core.words import counted


class RunError(CbirError):
    """A run that is missing, damaged, or that cannot be made."""


@dataclass(frozen=True)
class Run:
    """Rankings of m queries over n ranks each.

    Attributes
    ----------
    collection : str
    database : int
        Images in the collection.
    ranks : int
        Images ranked for each query: n, one less than `database` when each query is left out of its own ranking.
        Copies of a query's picture that are left out too stand last, and are neither relevant nor tied.
    relevant : ndarray of uint8, shape (m, ceil(n / 8))
        Packed bits: the image at this rank has the query's label.
    tied : ndarray of uint8, shape (m, ceil(n / 8))
        Packed bits: the same distance as the rank before.
    exact_ids, served_ids : ndarray of str, shape (m, 10 at most)
        The closest by exact ranking, and as Qdrant served them.
    exact_distances, served_distances : ndarray of float32, of the same shapes
    query_uris : ndarray of str, shape (m,)
    copies : ndarray of int64, shape (m,)
        Stored copies of each query's picture that are left out of its ranking.
    about : dict
        Seed, encoder and model, date, and other facts for people.
    """

    collection: str
    database: int
    ranks: int
    relevant: np.ndarray
    tied: np.ndarray
    exact_ids: np.ndarray
    exact_distances: np.ndarray
    served_ids: np.ndarray
    served_distances: np.ndarray
    query_uris: np.ndarray
    copies: np.ndarray
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.relevant)

    def bits(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Unpack `relevant` and `tied` of some queries, each (stop - start, n) bool."""
        return _unpack(self.relevant[start:stop], self.ranks), _unpack(self.tied[start:stop], self.ranks)


#: Raised when an older cbir would read a new file wrongly.
_FORMAT = 1
#: What every run has; those of an older cbir have no `copies`.
_ARRAYS = ("relevant", "tied", "exact_ids", "exact_distances", "served_ids", "served_distances", "query_uris")


def save_run(run: Run, path: Path) -> None:
    """Write a run, completely or not at all."""
    facts = {
        "format": _FORMAT,
        "collection": run.collection,
        "database": run.database,
        "ranks": run.ranks,
        "about": run.about,
    }
    content = io.BytesIO()
    np.savez_compressed(content, facts=json.dumps(facts), **{name: getattr(run, name) for name in (*_ARRAYS, "copies")})
    with content.getbuffer() as held:  # released also if it cannot be written
        write_atomic(path, held)


def load_run(path: Path) -> Run:
    """Read a run.

    Raises
    ------
    RunError
        Missing, not a run, or written by a newer cbir.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            facts = parse_object(str(stored["facts"]))
            number = a_whole_number(facts.get("format", 1), "format", least=1)
            if number <= _FORMAT:
                return _read(facts, stored)
    except FileNotFoundError:
        raise RunError(f"no run {path}; make one with: cbir evaluate") from None
    except Exception as error:
        raise RunError(f"{path} is not a stored run of cbir, or is damaged") from error
    raise RunError(
        f"{path} was written by a newer cbir (format {number}; this one reads up to {_FORMAT}): upgrade cbir"
    )


def _read(facts: dict[str, Any], stored: Mapping[str, np.ndarray]) -> Run:
    """Return what a file of this format holds; ValueError or KeyError if that is no run."""
    arrays = {name: stored[name] for name in _ARRAYS}
    count = len(arrays["relevant"])
    run = Run(
        collection=a_text(required(facts, "collection"), "collection"),
        database=a_whole_number(required(facts, "database"), "database", least=1),
        ranks=a_whole_number(required(facts, "ranks"), "ranks", least=1),
        about=an_object(required(facts, "about"), "about"),
        **arrays,
        copies=stored["copies"] if "copies" in stored else np.zeros(count, int),
    )
    kept = run.exact_ids.shape[1:]
    expected = {
        "relevant": ("u", (count, -(-run.ranks // 8))),
        "tied": ("u", (count, -(-run.ranks // 8))),
        "exact_ids": ("U", (count, *kept)),
        "served_ids": ("U", (count, *kept)),
        "exact_distances": ("f", (count, *kept)),
        "served_distances": ("f", (count, *kept)),
        "query_uris": ("U", (count,)),
        "copies": ("iu", (count,)),
    }
    for name, (kinds, shape) in expected.items():
        values: np.ndarray = getattr(run, name)
        if values.dtype.kind not in kinds or values.shape != shape or len(kept) != 1:
            raise ValueError(f"{name} is {values.dtype} of shape {values.shape}")
    if run.relevant.dtype != np.uint8 or run.tied.dtype != np.uint8 or (run.copies < 0).any():
        raise ValueError("not bits, or not counts")
    return run


def run_title(name: str, database: int, queries: int, *, leave_one_out: bool = False) -> str:
    """Return the title of a run's table or figure: which collection, how many images and queries."""
    own = ", each left out of its own ranking" if leave_one_out else ""
    return f"{name}: {counted(database, 'image')}, {counted(queries, 'query', 'queries')}{own}"


def pack(bits: np.ndarray) -> np.ndarray:
    """Pack (m, n) bool into (m, ceil(n / 8)) uint8."""
    return np.packbits(bits, axis=1)


def _unpack(packed: np.ndarray, n: int) -> np.ndarray:
    return np.unpackbits(packed, axis=1, count=n).astype(bool)
