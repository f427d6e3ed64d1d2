"""Files that could not be decoded are not opened again as long as they stay the same.

In: a file of JSON lines from the last ingest, beside its report, and what this one finds. Out: for an item, why it
cannot be read, if that is known; and the file, written anew. It is a cache: without it, files are opened again. What
reads pictures stands in it, so that an upgrade, or an extra that is installed, tries all of them again.
"""

import json
import sqlite3
import threading
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from cbir.core.atomic import atomic_file
from cbir.ingest.sources.source import STAMP, Item
from cbir.model.formats import unreadable_suffixes

#: Beside the report of an ingest.
FILE = "unreadable.jsonl"

_SCHEMA = "CREATE TABLE files (location TEXT PRIMARY KEY, stamp TEXT, problem TEXT, met INTEGER)"
_ENTRY = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)"


class Unreadable:
    """What is known of such files; to be used in a `with` block, from any thread, and written at its end.

    Parameters
    ----------
    folder : Path or None
        Where `FILE` is; None: nothing is known, and nothing is kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = None if folder is None else folder / FILE
        self._lock = threading.Lock()
        self._changed = False
        # On disk where it is large, as cbir.ingest.places.
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._table.execute(_SCHEMA)
        with suppress(OSError, ValueError, TypeError, KeyError):  # damaged: files are opened again
            self._read()

    def _read(self) -> None:
        if self._file is None or not self._file.is_file():
            return
        with self._file.open(encoding="ascii") as lines:
            if json.loads(next(lines, "{}")) != _readers():
                return
            entries = (json.loads(line) for line in lines)
            rows = ((_key(each["location"]), json.dumps(each["stamp"]), str(each["problem"]), 0) for each in entries)
            self._table.execute("BEGIN")
            try:
                self._table.executemany(_ENTRY, rows)
            finally:
                self._table.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a cache
            self._write()
        self._table.close()

    def problem(self, item: Item) -> str | None:
        """Return why an item cannot be read, if its file is the one that could not be; else None."""
        if (stamp := _stamp(item)) is None:
            return None
        with self._lock:
            location = _key(item.location)
            row = self._table.execute("SELECT stamp, problem FROM files WHERE location = ?", (location,)).fetchone()
            if row is None or row[0] != stamp:
                return None
            self._table.execute("UPDATE files SET met = 1 WHERE location = ?", (location,))
            return str(row[1])

    def note(self, item: Item, problem: str) -> None:
        """Note that an item's content cannot be read, and why."""
        if (stamp := _stamp(item)) is not None:
            with self._lock:
                self._table.execute(_ENTRY, (_key(item.location), stamp, problem, 1))
                self._changed = True

    def forget_missing(self, roots: Collection[str]) -> None:
        """Forget what was not met of roots all of whose files were listed."""
        with self._lock:
            for root in roots:
                top = _key(root.rstrip("/") + "/")[:-1]
                self._changed |= bool(
                    self._table.execute(
                        "DELETE FROM files WHERE NOT met AND substr(location, 1, ?) = ?", (len(top), top)
                    ).rowcount
                )

    def _write(self) -> None:
        if self._file is None or not self._changed:
            return
        if not self._table.execute("SELECT count(*) FROM files").fetchone()[0]:
            self._file.unlink(missing_ok=True)
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._file) as partial, partial.open("w", encoding="ascii") as lines:
            lines.write(json.dumps(_readers()) + "\n")
            for location, stamp, problem in self._table.execute("SELECT location, stamp, problem FROM files"):
                entry = {"location": json.loads(location), "stamp": json.loads(stamp), "problem": problem}
                lines.write(json.dumps(entry) + "\n")


def _readers() -> dict[str, Any]:
    """Return what reads pictures here."""
    return {"cbir": version("cbir"), "pillow": version("pillow"), "lacking": sorted(unreadable_suffixes())}


def _key(location: str) -> str:
    """Return a path as SQLite takes it: JSON spells the half characters of names that are not UTF-8."""
    return json.dumps(location)


def _stamp(item: Item) -> str | None:
    """Return a file's stamp; None where it does not tell one content from another."""
    stamp = [item.payload.get(name) for name in STAMP]
    return json.dumps(stamp) if item.location and None not in stamp else None
