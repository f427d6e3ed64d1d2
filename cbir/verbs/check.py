"""Check whether what is stored is what cbir stored."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.progress import Progress, labelled, silent
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from cbir.collection.damage import Damage
    from cbir.collection.interface import Collection, Engine


@dataclass(frozen=True)
class DamagedPoint:
    """A point that is not what cbir stored.

    Attributes
    ----------
    id : str
    where : str
        The picture's path, or a dataset's uri; empty if that is damaged too.
    source : str
        What to ingest again: a folder, an archive or a dataset; empty as well.
    vector, fields : bool
        What of it is damaged.
    """

    id: str
    where: str
    source: str
    vector: bool
    fields: bool


@dataclass(frozen=True)
class Checked:
    """What a check of a collection has found.

    Attributes
    ----------
    collection, location : str
    damage : Damage or None
        None if the points cannot be read: `problem` says why.
    points : tuple of DamagedPoint
    problem : str
    """

    collection: str
    location: str
    damage: Damage | None = None
    points: tuple[DamagedPoint, ...] = ()
    problem: str = ""

    @property
    def sound(self) -> bool:
        """Whether all is as it was stored, as far as can be told."""
        return self.damage is not None and self.damage.none


def check(
    collection: str | None = None, *, qdrant_url: str | None = None, progress: Progress = silent
) -> list[Checked]:
    """Compare all points of a collection with their checksums, and their number with what is remembered.

    An embedded collection that is damaged says so from then on, each time it is opened, and an ingest of the same
    source encodes the damaged pictures again.

    Parameters
    ----------
    collection : str, optional
        By default all collections, one after the other.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    progress : Progress
        Stage `check`.

    Raises
    ------
    CbirError
        There is no such collection.
    """
    from cbir.collection.errors import no_such_collection

    with closing(home.open_engine(read_settings(qdrant_url=qdrant_url))) as engine:
        names = engine.names()
        if collection is not None:
            collection = engine.spelled(collection)
            if collection not in names:
                raise no_such_collection(collection, engine.location, names)
            names = [collection]
        return [_checked(engine, name, labelled(progress, name)) for name in names]


def _checked(engine: Engine, name: str, progress: Progress) -> Checked:
    from cbir.collection.errors import CollectionError

    try:
        with closing(engine.open(name)) as opened:
            damage = opened.damage or opened.verify(progress)
            return Checked(name, engine.location, damage, _points(opened, damage))
    except CollectionError as error:
        return Checked(name, engine.location, problem=str(error))


def _points(opened: Collection, damage: Damage) -> tuple[DamagedPoint, ...]:
    vectors, fields = frozenset(damage.vectors), frozenset(damage.fields)
    ids = sorted(damage.damaged)
    payloads, metadata = opened.payloads(ids), opened.metadata
    found = []
    for identity in ids:
        payload = payloads.get(identity, {})
        where = metadata.locate(payload) if identity not in fields else ""
        source = metadata.place(str(payload.get("source", ""))) if where else ""
        found.append(DamagedPoint(identity, where, source, identity in vectors, identity in fields))
    return tuple(found)
