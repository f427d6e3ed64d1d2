"""A collection that another process of this user holds, such as a running `cbir serve`: each call is made there.

In: a connection (`cbir.collection.lent.line`). Out: the verbs of `cbir.collection.interface.Collection`. Another
process at the other end is `cbir.collection.lent.lender`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.collection.lent.line import LenderGoneError, Line
from cbir.collection.lent.messages import packed, unpacked
from cbir.core.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from cbir.collection.damage import Damage
    from cbir.collection.facets import Group
    from cbir.collection.filter import Where
    from cbir.collection.interface import Info
    from cbir.collection.metadata import Metadata
    from cbir.collection.point import Hit, Label, Page, Payload


class BorrowedCollection:
    """One collection that another process holds; see `cbir.collection.interface.Collection` for the verbs.

    Parameters
    ----------
    name : str
    line : Line
        Is this one's alone.
    """

    def __init__(self, name: str, line: Line) -> None:
        self.name = name
        self._line = line
        self._open = True
        self._metadata = self._read_metadata(self._line.ask("open", name=name)[0])

    @staticmethod
    def _read_metadata(stored: object) -> Metadata:
        from cbir.collection.metadata import Metadata

        return Metadata.from_json(stored)

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        return self._metadata

    @property
    def closed_with(self) -> int | None:
        """The number of points when it was last closed after a change; None if not known, or changed since."""
        found: int | None = self._line.ask("closed_with")[0]
        return found

    @property
    def signed(self) -> bool:
        """Whether every point has a checksum."""
        return bool(self._line.ask("signed")[0])

    @property
    def damage(self) -> Damage | None:
        """What a check has found since the collection was opened."""
        from cbir.collection.lent.values import damage_from_json

        found = self._line.ask("damage")[0]
        return None if found is None else damage_from_json(found)

    def verify(self, progress: Progress = silent) -> Damage:
        """Check all points, and make the payload indexes anew; stage `check`."""
        from cbir.collection.lent.values import damage_from_json

        return damage_from_json(self._line.ask("verify", progress=progress)[0])

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; encoder, dimension and keys of newer versions stay."""
        self._metadata = self._read_metadata(self._line.ask("remember", metadata=metadata.to_json())[0])

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; durable when it returns."""
        from cbir.collection.checks import validated_points

        vectors = validated_points(ids, vectors, payloads, self.metadata.dimension)
        self._line.ask("upsert", [packed(vectors)], ids=list(ids), payloads=list(payloads))

    def replace_payloads(self, ids: Sequence[str], payloads: Sequence[Payload]) -> None:
        """Replace the payloads of stored points, whose vectors stay; unknown ids are ignored."""
        from cbir.collection.checks import check_payloads

        check_payloads(ids, payloads)
        self._line.ask("replace_payloads", ids=list(ids), payloads=list(payloads))

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        found: dict[str, Payload] = self._line.ask("payloads", ids=list(ids))[0]
        return found

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors of those of `ids` that are stored."""
        found, (rows,) = self._line.ask("vectors", ids=list(ids))
        return dict(zip(found, unpacked(rows), strict=True))

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        return self.search_batch(vector[None], k, where=where, exact=exact)[0]

    def search_batch(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        where: Where | None = None,
        each: Sequence[Where] | None = None,
        exact: bool = False,
        payloads: bool = True,
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`, cheaper than one by one; `each`: filters of the rows' own."""
        from cbir.collection.checks import validated_k, validated_vectors
        from cbir.collection.lent.values import hit_from_json, where_to_json

        found, _ = self._line.ask(
            "search_batch",
            [packed(validated_vectors(vectors, self.metadata.dimension))],
            k=validated_k(k),
            where=where_to_json(where),
            each=None if each is None else [where_to_json(own) for own in each],
            exact=exact,
            payloads=payloads,
        )
        return [[hit_from_json(hit) for hit in hits] for hits in found]

    def scroll(
        self,
        *,
        vectors: bool = True,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        page: int = 4096,
        start: str | None = None,
    ) -> Iterator[Page]:
        """Yield all points, or those that pass a filter, in the order of their ids."""
        from cbir.collection.lent.values import where_to_json
        from cbir.collection.point import Page

        number, _ = self._line.ask(
            "scroll",
            vectors=vectors,
            fields=None if fields is None else list(fields),
            where=where_to_json(where),
            page=page,
            start=start,
        )
        try:
            while True:
                found, parts = self._line.ask("next", scroll=number)
                if found is None:
                    return
                yield Page(found["ids"], unpacked(parts[0]), found["payloads"], found["checksums"])
        finally:  # nothing is asked here: the garbage collector may end this in the middle of another call
            self._line.forget(number)

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        from cbir.collection.lent.values import where_to_json

        return int(self._line.ask("count", where=where_to_json(where))[0])

    def facet(
        self, field: str, *, where: Where | None = None, limit: int | None = None, group: Group | None = None
    ) -> list[tuple[Label, int]]:
        """Count the points that have each value of a field, the most frequent value first."""
        if group is not None:  # it is a function, which stays in this process
            from cbir.collection.facets import facet
            from cbir.collection.filter import filter_of

            return facet(self, field, filter_of(where), limit, group, has_copies=True)
        from cbir.collection.lent.values import where_to_json

        found, _ = self._line.ask("facet", field=field, where=where_to_json(where), limit=limit)
        return [(value, count) for value, count in found]

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        self._line.ask("delete", ids=list(ids))

    def pause_indexing(self, *, entirely: bool = False) -> None:
        """Spare the HNSW index while many points are loaded, until `build_index`."""
        self._line.ask("pause_indexing", entirely=entirely)

    def index_pays(self) -> bool:
        """Tell whether an HNSW index would save more than it costs, and is not there yet."""
        return bool(self._line.ask("index_pays")[0])

    def build_index(self, *, small: bool = False, progress: Progress = silent) -> None:
        """Build the HNSW index; blocks, until another thread closes the collection."""
        self._line.ask("build_index", progress=progress, small=small)

    def info(self) -> Info:
        """Return sizes."""
        from cbir.collection.lent.values import info_from_json

        return info_from_json(self._line.ask("info")[0])

    def close(self) -> None:
        """Give the collection back; closing twice is not an error."""
        if self._open:
            self._open = False
            try:
                if self._line.unanswered != "build_index":  # which ends when nobody is here any more
                    self._line.ask("close")
            except LenderGoneError:
                pass  # what was stored is, and it is nobody's any more
            finally:
                self._line.close()
