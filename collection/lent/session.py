"""What one borrower asks of one collection, done in the process that holds it.

In: messages, as `cbir.collection.lent.borrowed` sends them. Out: answers, as JSON values and bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection
from cbir.collection.lent.messages import packed, unpacked
from cbir.collection.lent.values import damage_to_json, hit_to_json, where_from_json
from cbir.collection.metadata import Metadata
from cbir.collection.point import Page
from cbir.core.progress import Progress

#: An answer: JSON values, and arrays behind them.
Answer = tuple[Any, list[bytes]]


class Session:
    """One borrower's use of an open collection, which is closed with it.

    Parameters
    ----------
    collection : Collection
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._scrolls: dict[int, Iterator[Page]] = {}
        self._number = 0

    def answer(self, what: str, asked: dict[str, Any], parts: list[bytes], progress: Progress) -> Answer:
        """Do what was asked.

        Raises
        ------
        CbirError, OSError
            As the collection raises them.
        CollectionError
            It is nothing that a collection does.
        """
        verb = _VERBS.get(what)
        if verb is None:
            raise CollectionError(f"'{what:.50}' is nothing that a collection does")
        for scroll in asked.get("forgotten", ()):
            self._scrolls.pop(scroll, None)
        return verb(self, asked, parts, progress)

    def close(self) -> None:
        """Release the collection."""
        self._scrolls.clear()
        self.collection.close()

    def _simple(self, asked: dict[str, Any]) -> Answer:
        collection = self.collection
        match asked["do"]:
            case "closed_with":
                return collection.closed_with, []
            case "signed":
                return collection.signed, []
            case "damage":
                return damage_to_json(collection.damage), []
            case "count":
                return collection.count(where=where_from_json(asked["where"])), []
            case "facet":
                where = where_from_json(asked["where"])
                return collection.facet(asked["field"], where=where, limit=asked["limit"]), []
            case "payloads":
                return collection.payloads(asked["ids"]), []
            case "index_pays":
                return collection.index_pays(), []
            case _:
                return asdict(collection.info()), []

    def _changed(self, asked: dict[str, Any], parts: list[bytes]) -> Answer:
        collection = self.collection
        match asked["do"]:
            case "remember":
                collection.remember(Metadata.from_json(asked["metadata"]))
                return collection.metadata.to_json(), []
            case "upsert":
                collection.upsert(asked["ids"], unpacked(parts[0]), asked["payloads"])
            case "replace_payloads":
                collection.replace_payloads(asked["ids"], asked["payloads"])
            case "delete":
                collection.delete(asked["ids"])
            case _:
                collection.pause_indexing(entirely=bool(asked.get("entirely")))
        return None, []

    def _long(self, asked: dict[str, Any], progress: Progress) -> Answer:
        if asked["do"] == "verify":
            return damage_to_json(self.collection.verify(progress)), []
        self.collection.build_index(small=bool(asked["small"]), progress=progress)
        return None, []

    def _vectors(self, asked: dict[str, Any]) -> Answer:
        found = self.collection.vectors(asked["ids"])
        rows = np.stack(list(found.values())) if found else np.empty((0, self.collection.metadata.dimension))
        return list(found), [packed(rows.astype(np.float32, copy=False))]

    def _search(self, asked: dict[str, Any], parts: list[bytes]) -> Answer:
        each = asked["each"]
        found = self.collection.search_batch(
            unpacked(parts[0]),
            asked["k"],
            where=where_from_json(asked["where"]),
            # A filter that says nothing passes everything.
            each=None if each is None else [where_from_json(own) or {} for own in each],
            exact=bool(asked["exact"]),
            payloads=asked.get("payloads") is not False,
        )
        return [[hit_to_json(hit) for hit in hits] for hits in found], []

    def _scroll(self, asked: dict[str, Any]) -> Answer:
        if asked["do"] == "scroll":
            size = int(asked["page"])
            if size < 1:  # of nothing at a time, there would be no end
                raise CollectionError(f"a page holds at least 1 point, not {size}")
            self._number += 1
            self._scrolls[self._number] = self.collection.scroll(
                vectors=bool(asked["vectors"]),
                fields=asked["fields"],
                where=where_from_json(asked["where"]),
                page=size,
                start=asked["start"],
            )
            return self._number, []
        page = next(self._scrolls.get(asked["scroll"], iter(())), None)
        if page is None:
            return None, []
        found = {"ids": page.ids, "payloads": page.payloads, "checksums": page.checksums}
        return found, [packed(page.vectors)]


_VERBS: dict[str, Callable[[Session, dict[str, Any], list[bytes], Progress], Answer]] = {
    **dict.fromkeys(
        ("closed_with", "signed", "damage", "count", "facet", "payloads", "index_pays", "info"),
        lambda session, asked, _parts, _progress: session._simple(asked),
    ),
    **dict.fromkeys(
        ("remember", "upsert", "replace_payloads", "delete", "pause_indexing"),
        lambda session, asked, parts, _progress: session._changed(asked, parts),
    ),
    **dict.fromkeys(("verify", "build_index"), lambda session, asked, _parts, progress: session._long(asked, progress)),
    **dict.fromkeys(("scroll", "next"), lambda session, asked, _parts, _progress: session._scroll(asked)),
    "vectors": lambda session, asked, _parts, _progress: session._vectors(asked),
    "search_batch": lambda session, asked, parts, _progress: session._search(asked, parts),
}
