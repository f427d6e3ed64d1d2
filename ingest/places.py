"""What a collection holds and where: a table of its contents and their places, for the time of one ingest.

In: one scroll of the collection. Out: answers to "what is stored at this place?" and "where is this content?". The
table is a temporary SQLite database, which SQLite keeps on disk where it does not fit into its cache, and removes:
memory does not grow with the collection.

Two points may claim the same place: one of them did until the file was replaced, and the process was killed before
that point was taken care of. The claim whose stamp is that of the file is the right one.
"""

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol, Self

from cbir.collection.damage import Damage
from cbir.collection.interface import Collection
from cbir.collection.place import COPIES, PLACE, Place, places_of
from cbir.collection.point import Page, Payload, label_of, text_of
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.uris import is_absolute
from cbir.core.workers import prefetched
from cbir.ingest.claim import Claim, Content, Glance, State

#: Kilobytes that SQLite may hold in memory, and as much again while it sorts. With three times as much, a million
#: points are compared no faster.
_CACHE = 16 * 1024

_SCHEMA = """
CREATE TABLE contents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, sha256 TEXT, detailed INTEGER NOT NULL, label, brightness REAL,
    problem TEXT, located TEXT
);
CREATE TABLE places (
    number INTEGER PRIMARY KEY, content INTEGER NOT NULL, source TEXT NOT NULL, uri TEXT NOT NULL,
    bytes INTEGER, modified INTEGER, inode INTEGER, changed INTEGER, is_file INTEGER NOT NULL,
    first INTEGER NOT NULL, state INTEGER NOT NULL, added INTEGER NOT NULL DEFAULT 0, described TEXT
);
CREATE TABLE asked (number INTEGER PRIMARY KEY, source TEXT, uri TEXT NOT NULL);
"""
_INDEXES = """
CREATE INDEX by_hash ON contents (sha256);
CREATE INDEX by_place ON places (uri, source, content, first, bytes, modified, inode, changed);
CREATE INDEX by_content ON places (content);
"""
_CLAIM = (
    "SELECT p.number, p.content, c.id, c.sha256, c.detailed, p.source, p.uri, p.bytes, p.modified, p.inode, p.changed, "
    "p.is_file, p.first, p.state, p.added FROM places p JOIN contents c ON c.number = p.content "
)
_ASK = "INSERT INTO asked (number, source, uri) VALUES (?, ?, ?)"
_GLANCES = (
    "SELECT a.number, p.number, p.first AND c.detailed AND c.sha256 IS NOT NULL, c.label, p.bytes, p.modified, "
    "p.inode, p.changed FROM asked a CROSS JOIN places p ON p.uri = a.uri "
    "AND (a.source IS NULL OR p.source = a.source) JOIN contents c ON c.number = p.content"
)
_AT = _CLAIM + "WHERE p.uri = ? AND p.source = ?"
_AT_PATH = _CLAIM + "WHERE p.uri = ?"
_OF_CONTENT = _CLAIM + "WHERE p.content = ? ORDER BY p.first DESC, p.number"
_INSERT_CONTENT = "INSERT INTO contents (number, id, sha256, detailed, label, brightness) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT = (
    "INSERT INTO places (content, source, uri, bytes, modified, inode, changed, is_file, first, state, added, "
    "described) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


#: The fields of payloads that the table is made from.
_NEEDED = (*PLACE, COPIES, "label", "sha256", "format", "border_brightness")


class Points(Protocol):
    """What a table is made from: a collection, or the files of `cbir.ingest.feature_parts`."""

    def count(self) -> int:
        """Return the number of points."""
        ...

    def scroll(self, *, vectors: bool, fields: Sequence[str]) -> Iterator[Page]:
        """Yield all points, with some fields of their payloads."""
        ...


class Places:
    """The table; to be used in a `with` block, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._unlit = 0
        self._collection: Collection | None = None
        #: Ids of points that are to be encoded and stored again, and of those whose fields are damaged as well.
        self.damaged: frozenset[str] = frozenset()
        self.illegible: frozenset[str] = frozenset()
        with _table_errors():
            self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE}", "locking_mode=EXCLUSIVE"):
                self._table.execute(f"PRAGMA {setting}")
            self._table.executescript(_SCHEMA)

    @classmethod
    def of(cls, collection: Collection, progress: Progress = silent, damage: Damage | None = None) -> Self:
        """Return the table of a collection's points, without the damaged ones; stage `compare`.

        Raises
        ------
        CbirError
            There is no space for it.
        """
        places = cls()
        places._collection = collection
        if damage is not None:
            places.damaged, places.illegible = damage.damaged, frozenset(damage.fields)
        places._fill(collection, progress)
        return places

    def _fill(self, points: Points, progress: Progress) -> None:
        """Make the table; close it if that fails."""
        try:
            total, number = points.count(), 0
            for page in prefetched(points.scroll(vectors=False, fields=_NEEDED)):
                contents, rows = [], []
                for identity, payload in zip(page.ids, page.payloads, strict=True):
                    if identity in self.damaged:
                        continue
                    number += 1
                    label, sha256, detailed = label_of(payload), text_of(payload, "sha256") or None, "format" in payload
                    brightness = _brightness(payload.get("border_brightness"))
                    self._unlit += brightness is None
                    contents.append((number, identity, sha256, detailed, label, brightness))
                    for first, place in enumerate(places_of(payload)):
                        rows.append(_row(number, place, first=not first, state=State.UNSEEN))
                with self.together() as table:
                    table.executemany(_INSERT_CONTENT, contents)
                    table.executemany(_INSERT, rows)
                progress("compare", 0, None, f"{number:,} of {total:,} points")
            with _table_errors():
                self._table.executescript(_INDEXES)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the table."""
        self._table.close()

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Yield the table, for this thread alone; what is written in the block is written at once: that is faster."""
        with self._lock, _table_errors():
            self._depth += 1
            if self._depth == 1:
                self._table.execute("BEGIN")
            try:
                yield self._table
            finally:
                self._depth -= 1
                if not self._depth:
                    self._table.execute("COMMIT")

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _table_errors():
            return self._table.execute(query, values).fetchall()

    def _do(self, query: str, values: Iterable[Sequence[Any]]) -> None:
        with self.together() as table:
            table.executemany(query, values)

    # --- What is asked

    def at(self, source: str, uri: str) -> list[Claim]:
        """Return the claims to a place; an absolute path is one whatever its source is called."""
        if is_absolute(uri):
            return [_claim(row) for row in self._all(_AT_PATH, (uri,))]
        return [_claim(row) for row in self._all(_AT, (uri, source))]

    def glances(self, places: Sequence[tuple[str, str]]) -> list[list[Glance]]:
        """Return what is known of each place, in a form that takes little time where nothing has changed.

        All at once, by a join: a query for each takes three times as long.
        """
        known: list[list[Glance]] = [[] for _ in places]
        with self.together() as table:
            table.execute("DELETE FROM asked")
            asked = ((n, None if is_absolute(uri) else source, uri) for n, (source, uri) in enumerate(places))
            table.executemany(_ASK, asked)
            for number, *glance in table.execute(_GLANCES):
                known[number].append(tuple(glance))
        return known

    def of_content(self, content: int) -> list[Claim]:
        """Return a content's places, the first one first."""
        return [_claim(row) for row in self._all(_OF_CONTENT, (content,))]

    def described(self, claim: Claim) -> dict[str, Any] | None:
        """Return what the source says of a place that is not the first of its point; None where that is not known."""
        (text,) = self._all("SELECT described FROM places WHERE number = ?", (claim.number,))[0]
        return None if text is None else json.loads(text)

    def payloads(self, claims: Iterable[Claim]) -> dict[str, Payload]:
        """Return the payloads of the points of claims, by their ids."""
        ids = [claim.id for claim in claims]
        return self._collection.payloads(ids) if ids and self._collection is not None else {}

    def replaced(self, ids: Iterable[str]) -> dict[str, Payload]:
        """Return the payloads of damaged points among those that are stored again, as far as they are right."""
        wanted = [identity for identity in ids if identity in self.damaged and identity not in self.illegible]
        return self._collection.payloads(wanted) if wanted and self._collection is not None else {}

    def prepare(self, hashes: Iterable[str]) -> None:
        """Do nothing: all contents are in the table."""

    def content(self, sha256: str, place: tuple[str, str] | None = None) -> Content | None:
        """Return the content of this hash: of several, which an old cbir stored, the one that claims a place."""
        rows = self._all(
            "SELECT number, id, detailed, problem, located FROM contents WHERE sha256 = ? ORDER BY number", (sha256,)
        )
        found = [Content(number, identity, bool(detailed), *rest) for number, identity, detailed, *rest in rows]
        if place is not None and len(found) > 1:
            claimed = {claim.content for claim in self.at(*place)}
            found.sort(key=lambda content: content.number not in claimed)
        return found[0] if found else None

    def same(self) -> Iterator[list[int]]:
        """Yield the numbers of contents that are one and the same, which an old cbir stored as several points."""
        for (sha256,) in self._each(
            "SELECT sha256 FROM contents WHERE sha256 IS NOT NULL AND problem IS NULL GROUP BY sha256 "
            "HAVING count(*) > 1"
        ):
            yield [number for (number,) in self._all("SELECT number FROM contents WHERE sha256 = ?", (sha256,))]

    def with_state(self, state: State) -> Iterator[int]:
        """Yield the contents that have a place in this state."""
        for (number,) in self._each("SELECT DISTINCT content FROM places WHERE state = ?", (state,)):
            yield number

    def unseen(self, source: str) -> Iterator[tuple[int, str]]:
        """Yield number and uri of a source's places that were not listed."""
        yield from self._each("SELECT number, uri FROM places WHERE state = ? AND source = ?", (State.UNSEEN, source))

    def stored_places(self, source: str) -> int:
        """Count a source's places that were stored before this ingest."""
        return int(self._all("SELECT count(*) FROM places WHERE source = ? AND added = 0", (source,))[0][0])

    def copies_added(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield source and uri of each place that this ingest added as a copy, and those of the content's first."""
        yield from self._each(
            "SELECT p.source, p.uri, f.source, f.uri FROM places p JOIN places f ON f.content = p.content AND f.first "
            "WHERE p.added = 1 AND NOT p.first"
        )

    @property
    def unlit(self) -> int:
        """Number of contents whose brightness was not stored: an older cbir, or another tool, stored them."""
        return self._unlit

    def backgrounds(self) -> tuple[float, float, int] | None:
        """Return mean, standard deviation and number of the contents' border brightness; None if none is known."""
        ((count, mean, squares),) = self._all(
            "SELECT count(brightness), avg(brightness), avg(brightness * brightness) FROM contents"
        )
        return (mean, math.sqrt(max(0.0, squares - mean**2)), count) if count else None

    def _each(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query whose tables change meanwhile: the answer goes into a table of its own."""
        with self._lock, _table_errors():
            answer = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            found = self._table.execute(query, values)
            width = len(found.description)
            answer.execute(f"CREATE TABLE answer ({', '.join(f'c{column}' for column in range(width))})")
            answer.execute("BEGIN")
            answer.executemany(f"INSERT INTO answer VALUES ({', '.join('?' * width)})", found)  # noqa: S608 - numbers
            answer.execute("COMMIT")
        with closing(answer):
            yield from answer.execute("SELECT * FROM answer")

    # --- What is noted

    def note(self, states: Iterable[tuple[Claim, State]], descriptions: Iterable[tuple[Claim, Any]] = ()) -> None:
        """Note what became known of places, and the items' fields of those that are not first."""
        self._do("UPDATE places SET state = ? WHERE number = ?", ((state, claim.number) for claim, state in states))
        self._do(
            "UPDATE places SET described = ? WHERE number = ?",
            ((json.dumps(fields), claim.number) for claim, fields in descriptions),
        )

    def sure(self, numbers: Iterable[int]) -> None:
        """Note places that show the stored content."""
        self._do("UPDATE places SET state = ? WHERE number = ?", ((State.SURE, number) for number in numbers))

    def drop(self, numbers: Iterable[int]) -> None:
        """Note that places are to be taken off their points."""
        self._do("UPDATE places SET state = ? WHERE number = ?", ((State.DROPPED, number) for number in numbers))

    def expect(self, identity: str, sha256: str | None) -> Content:
        """Note a content that is about to be stored, so that its next copy is not encoded too; a file's has a hash."""
        with self._lock, _table_errors():
            cursor = self._table.execute(
                "INSERT INTO contents (id, sha256, detailed) VALUES (?, ?, 1)", (identity, sha256)
            )
            return Content(int(cursor.lastrowid or 0), identity, detailed=True)

    def failed(self, sha256: str, problem: str, located: str) -> None:
        """Note that a content cannot be read."""
        self._do(
            "UPDATE contents SET problem = ?, located = ? WHERE sha256 = ? AND problem IS NULL AND number NOT IN "
            "(SELECT content FROM places)",
            [(problem, located, sha256)],
        )

    def recovered(self, content: Content) -> None:
        """Note that a content could be read after all."""
        if content.problem is not None:
            self._do("UPDATE contents SET problem = NULL WHERE number = ?", [(content.number,)])

    def lit(self, brightness: Iterable[tuple[Content, float]]) -> None:
        """Note how light the borders of stored contents are."""
        self._do("UPDATE contents SET brightness = ? WHERE number = ?", ((v, c.number) for c, v in brightness))

    def detailed(self, contents: Iterable[int]) -> None:
        """Note that points have what is read from their files."""
        self._do("UPDATE contents SET detailed = 1 WHERE number = ?", ((number,) for number in contents))

    def hashed(self, content: int, sha256: str) -> None:
        """Note the hash of a content that was stored without one."""
        self._do("UPDATE contents SET sha256 = ? WHERE number = ?", [(sha256, content)])

    def add(
        self,
        content: int,
        place: Place,
        *,
        first: bool,
        copy: bool = False,
        described: Mapping[str, Any] | None = None,
        state: State = State.SURE,
    ) -> None:
        """Note a place that a content has from now on."""
        text = None if described is None else json.dumps(described)
        self._do(_INSERT, [_row(content, place, first=first, state=state, added=copy, described=text)])

    def remove(self, claims: Iterable[Claim]) -> None:
        """Note places that their contents no longer have."""
        self._do("DELETE FROM places WHERE number = ?", ((claim.number,) for claim in claims))

    def promote(self, claim: Claim) -> None:
        """Note that a place is the first one of its content now."""
        self._do("UPDATE places SET first = (number = ?) WHERE content = ?", [(claim.number, claim.content)])

    def hand_over(self, claims: Sequence[Claim], content: int) -> None:
        """Note that a point is gone, and that its places are another one's."""
        self._do("UPDATE places SET content = ?, first = 0 WHERE number = ?", ((content, c.number) for c in claims))
        self.remove_content(claims[0].content)

    def remove_content(self, content: int) -> None:
        """Note that a point is gone, with its places."""
        self._do("DELETE FROM places WHERE content = ?", [(content,)])
        self._do("DELETE FROM contents WHERE number = ?", [(content,)])


def _row(
    content: int, place: Place, *, first: bool, state: State, added: bool = False, described: str | None = None
) -> tuple[Any, ...]:
    return (content, place.source, place.uri, *place.stamp, place.is_file, first, state, added, described)


def _brightness(value: Any) -> float | None:
    """Return a payload's border brightness; other tools write payloads too."""
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= 1 else None


def _claim(row: tuple[Any, ...]) -> Claim:
    number, content, identity, sha256, detailed, source, uri, *values, first, state, added = row
    size, modified, inode, changed, is_file = values
    place = Place(source, uri, (size, modified, inode, changed), bool(is_file))
    return Claim(number, content, identity, sha256, bool(detailed), place, bool(first), State(state), bool(added))


@contextmanager
def _table_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CbirError(
            f"the temporary table of stored places cannot be written: {error}; free some space in the folder for "
            "temporary files, or name another one (TMPDIR)"
        ) from error
