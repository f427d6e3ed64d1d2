# ruff: noqa: S608 - SQL is put together from names of columns and from numbers
"""The list of a source's files, in a temporary database: memory stays the same, however many files there are.

In: files, folder by folder, and what was not taken. Out: the files in the order
in which they were added, all of them or a fair sample. SQLite removes the
database when it is closed, also when the process is killed; a short list never
leaves memory.
"""

import hashlib
import os
import sqlite3
import threading
import unicodedata
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from cbir.core.workers import batched
from cbir.ingest.sources.source import SourceError
from cbir.ingest.sources.tally import Tally

#: What a column holds.
Value: TypeAlias = "str | bytes | int | float | None"

#: Files that are added, and that are fetched, at once.
_ADDED, _FETCHED = 20_000, 1_000
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
PRAGMA temp_store = FILE;
CREATE TABLE folder (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE file (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name BLOB NOT NULL{extra});
CREATE TABLE unsorted (name BLOB NOT NULL{extra});
CREATE TABLE label (file INTEGER PRIMARY KEY, label, columns TEXT);
CREATE TABLE problem (uri TEXT NOT NULL, reason TEXT NOT NULL);
"""


class Listed(NamedTuple):
    """A file of a listing.

    Attributes
    ----------
    folder : bytes
        Path relative to the root, with `/`; empty at the root.
    name : bytes
    label : int, float, str or None
        Of the file that names the labels, as it is written there.
    columns : str or None
        The other columns of that file, as JSON.
    extra : tuple
        Values of the listing's further columns.
    """

    folder: bytes
    name: bytes
    label: Value
    columns: str | None
    extra: tuple[Any, ...]

    @property
    def path(self) -> bytes:
        """Path relative to the root, with `/`."""
        return self.folder + b"/" + self.name if self.folder else self.name


class Labelled(NamedTuple):
    """What became of the rows of a table: how many files have one, and how many rows are known and unknown.

    `example` is one of the unknown.
    """

    files: int
    rows: int
    unknown: int
    example: str


class Listing:
    """Files by folder, and what a source left out or could not list.

    It may be used by several threads, and pickled.

    Parameters
    ----------
    *extra : str
        Names of further columns of each file.

    Attributes
    ----------
    tally : Tally
        What was not taken.
    """

    def __init__(self, *extra: str) -> None:
        self._extra = extra
        #: Whether files were removed, so that the last one's number is not how many there are.
        self._gaps = False
        self.tally = Tally()
        self._connect("")
        self._database.executescript(_SCHEMA.format(extra="".join(f", {name}" for name in extra)))
        self._database.execute("BEGIN")

    def _connect(self, name: str) -> None:
        # Without a name, SQLite makes a temporary file that it has unlinked already.
        self._database = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)  # from Python 3.13 on, a warning tells of one that is not closed
        self._database.create_function("mixed", 1, _mixed, deterministic=True)
        self._database.create_function("depth", 1, _depth, deterministic=True)
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Return the whole database, so that another process has the same files in the same order."""
        with self._errors():
            self._database.execute("COMMIT")
            content = self._database.serialize()
            self._database.execute("BEGIN")
        return {"content": content, "extra": self._extra, "tally": self.tally, "gaps": self._gaps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._extra, self.tally, self._gaps = state["extra"], state["tally"], state["gaps"]
        self._connect(":memory:")
        self._database.deserialize(state["content"])
        self._database.execute("BEGIN")

    # What a source met

    def add(self, folder: bytes, files: Iterable[tuple[Value, ...]], *, sort: bool = False) -> None:
        """Add files of a folder behind those that there are.

        Parameters
        ----------
        folder : bytes
            Path relative to the root, with `/`; empty for the root.
        files : iterable of tuple
            Name, as bytes, and the values of the further columns. Taken in batches; other methods of the listing may be
            called in between.
        sort : bool
            Add them in the order of their names.
        """
        number = self._folder(folder)
        places = ", ".join("?" * (1 + len(self._extra)))
        batches = batched(files, _ADDED)
        first = next(batches, [])
        if not sort or len(first) < _ADDED:
            while first:
                self._many(f"INSERT INTO file VALUES (NULL, {number}, {places})", sorted(first) if sort else first)
                first = next(batches, [])
            return
        while first:
            self._many(f"INSERT INTO unsorted VALUES ({places})", first)
            first = next(batches, [])
        self._rows(f"INSERT INTO file SELECT NULL, {number}, * FROM unsorted ORDER BY name")
        self._rows("DELETE FROM unsorted")

    def add_folders(self, folders: Iterable[bytes]) -> None:
        """Add folders, whether there are files in them or not."""
        self._many("INSERT OR IGNORE INTO folder (path) VALUES (?)", [(_key(folder),) for folder in folders])

    def next_folder(self, folder: bytes) -> bytes | None:
        """Return the folder that follows in the order of the paths, in which a folder comes before those in it."""
        rows = self._rows("SELECT path FROM folder WHERE path > ? ORDER BY path LIMIT 1", (_key(folder),))
        return _folder(rows[0][0]) if rows else None

    def add_problem(self, uri: str, reason: str) -> None:
        """Note what could not be listed, and why; the reason names it."""
        self._rows("INSERT INTO problem VALUES (?, ?)", (uri, reason))

    @property
    def problems(self) -> "Problems":
        """What could not be listed."""
        return Problems(self)

    # The files

    @property
    def files(self) -> "Files":
        """All files, in the order in which they were added."""
        return Files(self)

    def has_folder(self, folder: bytes) -> bool:
        """Return whether a folder was added."""
        return bool(self._rows("SELECT 1 FROM folder WHERE path = ?", (_key(folder),)))

    def add_labels(self, labels: Iterable[tuple[str, Value, str | None]]) -> "Labelled":
        """Give files a label and further columns.

        Parameters
        ----------
        labels : iterable of (path, label, columns)
            Path relative to the root, with `/`; the columns are JSON. Of several for a file, the last one counts.
        """
        self._rows("CREATE INDEX IF NOT EXISTS file_by_name ON file (folder, name)")
        rows = unknown = 0
        example = ""
        for batch in batched(labels, _ADDED):
            found = [(self._file(path), label, columns) for path, label, columns in batch]
            known = [row for row in found if row[0] is not None]
            self._many("INSERT OR REPLACE INTO label VALUES (?, ?, ?)", known)
            if not example:
                example = next((path for (path, *_), row in zip(batch, found, strict=True) if row[0] is None), "")
            rows, unknown = rows + len(known), unknown + len(found) - len(known)
        return Labelled(int(self._rows("SELECT count(*) FROM label")[0][0]), rows, unknown, example)

    def leave_out_repeated(self, reason: str) -> None:
        """Leave out all files but the last one of each path, as an archive or a list may have several."""
        repeated = (
            "SELECT file.id, path, name FROM (SELECT folder, name, max(id) AS last, count(*) AS times FROM file "
            "GROUP BY folder, name HAVING times > 1) AS paths JOIN file USING (folder, name) "
            "JOIN folder ON folder.id = file.folder WHERE file.id < paths.last"
        )
        self._rows(f"CREATE TEMP TABLE repeated AS {repeated}")
        for _, path, name in self._pages("SELECT rowid, path, name FROM repeated WHERE rowid > ? ORDER BY rowid"):
            self.tally.add(reason, _folder(path) + b"/" + name if path else name)
            self._gaps = True
        self._rows("DELETE FROM file WHERE id IN (SELECT id FROM repeated)")
        self._rows("DROP TABLE repeated")

    def find(self, path: bytes) -> "Listed | None":
        """Return the file of a path; None if there is none."""
        self._rows("CREATE INDEX IF NOT EXISTS file_by_name ON file (folder, name)")
        folder, _, name = path.rpartition(b"/")
        rows = self._rows("SELECT id FROM folder WHERE path = ?", (_key(folder),))
        found = Files(self, f"file.folder = {rows[0][0]} AND file.name = x'{name.hex()}'") if rows else ()
        return next(iter(found), None)

    def has_below(self, folder: bytes) -> bool:
        """Return whether there are files in a folder, or below it."""
        return bool(len(self.files.within(folder)))

    def _file(self, path: str) -> int | None:
        """Return the id of a file; its name may be in Unicode's other form, as on disks that macOS wrote."""
        query = "SELECT file.id FROM folder CROSS JOIN file ON file.folder = folder.id WHERE path = ? AND name = ?"
        forms = (path,) if path.isascii() else (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
        for form in forms:
            folder, _, name = form.encode("utf-8", "surrogateescape").rpartition(b"/")
            if rows := self._rows(query, (_key(folder), name)):
                return int(rows[0][0])
        return None

    def _folder(self, folder: bytes) -> int:
        self.add_folders([folder])
        return int(self._rows("SELECT id FROM folder WHERE path = ?", (_key(folder),))[0][0])

    # SQL

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Hold the lock; what goes wrong with the temporary file is a `SourceError`."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise SourceError(
                f"the list of files cannot be kept in the folder for temporary files ({error}): "
                "make room there, or name another one by TMPDIR"
            ) from None

    def _rows(self, sql: str, values: Sequence[Value] = ()) -> list[Any]:
        with self._errors():
            return self._database.execute(sql, values).fetchall()

    def _many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        with self._errors():
            self._database.executemany(sql, rows)

    def _pages(self, sql: str) -> Iterator[Any]:
        """Yield rows of a query in the order of an id, which is its first column and only parameter, page by page."""
        last = 0
        while page := self._rows(f"{sql} LIMIT {_FETCHED}", (last,)):
            yield from page
            last = page[-1][0]


class Files:
    """Files of a listing in their order: all, or those that meet a condition.

    Parameters
    ----------
    listing : Listing
    condition : str
        Of SQL, over the tables `file` and `folder`.
    """

    def __init__(self, listing: Listing, condition: str = "1") -> None:
        self._listing = listing
        self._condition = condition
        self._count: int | None = None

    def __len__(self) -> int:
        if self._count is None:
            everything = self._condition == "1" and not self._listing._gaps
            query = "SELECT ifnull(max(id), 0) FROM file" if everything else f"SELECT count(*) FROM {self._selected()}"
            self._count = int(self._listing._rows(query)[0][0])
        return self._count

    def __iter__(self) -> Iterator[Listed]:
        columns = "".join(f", file.{name}" for name in self._listing._extra)
        rows = self._listing._pages(
            f"SELECT file.id, path, name, label, columns{columns} FROM {self._selected('label')} AND file.id > ? "
            "ORDER BY file.id"
        )
        last, folder = None, b""
        for _, path, name, label, further, *extra in rows:
            if path != last:
                last, folder = path, _folder(path)
            yield Listed(folder, name, label, further, tuple(extra))

    def depths(self) -> tuple[int, int]:
        """Return how deep the folders are that have files, at least and at most; 0 is the root."""
        folders = f"SELECT DISTINCT file.folder FROM {self._selected()}"
        query = f"SELECT ifnull(min(depth(path)), 0), ifnull(max(depth(path)), 0) FROM folder WHERE id IN ({folders})"
        least, most = self._listing._rows(query)[0]
        return least, most

    def folders(self) -> Iterator[bytes]:
        """Yield the folders that the files are in, in no order."""
        rows = self._listing._pages(
            f"SELECT folder.id, path FROM folder WHERE folder.id > ? AND folder.id IN "
            f"(SELECT file.folder FROM {self._selected()}) ORDER BY folder.id"
        )
        return (_folder(path) for _, path in rows)

    def within(self, *folders: bytes) -> "Files":
        """Return those files that lie in, or below, one of some folders."""
        keys = [_key(folder).hex() for folder in folders]
        below = " OR ".join(f"path = x'{key}' OR (path >= x'{key}00' AND path < x'{key}01')" for key in keys)
        return Files(self._listing, f"{self._condition} AND ({below})")

    def sample(self, count: int) -> "Files":
        """Return a fair sample: folders take turns, and which of a folder's files come first is left to chance.

        The same files give the same sample, and a larger one has all of a smaller one. It has the order of the listing.
        """
        table = f"sample_{os.urandom(8).hex()}"
        turns = "row_number() OVER (PARTITION BY file.folder ORDER BY mixed(name), name)"
        self._listing._rows(
            f"CREATE TABLE {table} AS SELECT id FROM (SELECT file.id, {turns} AS turn, mixed(path) AS mixed "
            f"FROM {self._selected()}) ORDER BY turn, mixed, id LIMIT {count}"
        )
        return Files(self._listing, f"file.id IN (SELECT id FROM {table})")

    def _selected(self, labels: str = "") -> str:
        joined = "LEFT JOIN label ON label.file = file.id" if labels else ""
        # CROSS JOIN is SQLite's way to say that `file` is read in its order.
        return f"file CROSS JOIN folder ON folder.id = file.folder {joined} WHERE ({self._condition})"


class Problems:
    """Uri and reason of all that could not be listed; `len` counts them."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def __len__(self) -> int:
        return int(self._listing._rows("SELECT count(*) FROM problem")[0][0])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        rows = self._listing._pages("SELECT rowid, uri, reason FROM problem WHERE rowid > ? ORDER BY rowid")
        return ((uri, reason) for _, uri, reason in rows)


def _key(folder: bytes) -> bytes:
    """Return a folder's path so that a folder sorts right before those in it."""
    return folder.replace(b"/", b"\0")


def _folder(key: bytes) -> bytes:
    return key.replace(b"\0", b"/")


def _depth(key: bytes) -> int:
    return key.count(b"\0") + 1 if key else 0


def _mixed(name: bytes) -> bytes:
    """Return a number that depends on nothing but the name, in no way that could be noticed."""
    return hashlib.blake2b(name, digest_size=8).digest()
