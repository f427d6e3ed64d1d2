"""`/c/{name}/map`: a collection seen whole. The places come from the API; what is chosen is listed by this server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from cbir import documents
from cbir.collection.filter_text import known_field
from cbir.collection.groups import Grouping, usual_way
from cbir.collection.point import Hit, is_point_id, label_of, text_of
from cbir.collection.stored_fields import StoredFields
from cbir.serve.pages.asked import Asked
from cbir.serve.pages.frame import bare, page, pages_router
from cbir.serve.pages.search import FACETS
from cbir.serve.pages.shown import Shown, shown
from cbir.serve.schemas import HitAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.collection.fields import Field
    from cbir.collection.interface import Collection
    from cbir.search.searcher import Searcher
    from cbir.serve.state import State

#: Pictures of one answer.
CHOSEN = 60

router = pages_router()


@router.get("/c/{name}/map")
async def map_page(request: Request, name: str, served: Served) -> Response:
    """Show a collection's map."""
    fields = await served.gate.run(_fields, served, name)
    return await page(request, served, "map.html", name, fields=fields, chosen=CHOSEN)


@router.get("/c/{name}/map/chosen")
async def chosen(
    name: str,
    served: Served,
    id: Annotated[list[str], Query(max_length=CHOSEN)] = [],  # noqa: A002, B006
) -> Response:
    """List some pictures of a map: a part of a page."""
    pictures = await served.gate.run(_chosen, served, name, id)
    return bare("chosen.html", name=name, pictures=pictures)


def _fields(served: State, name: str) -> dict[str, str]:
    """Return the fields that tell pictures apart, with their titles."""
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        known = StoredFields(collection)
        stored = [field for field in known if field in FACETS and field != "lens"]
        told = [field for field in stored if _tells(served, searcher, collection, known_field(field, known))]
    return {field: title for field, title in FACETS.items() if field in told}


def _tells(served: State, searcher: Searcher, collection: Collection, field: Field) -> bool:
    """Whether pictures differ in a field: one value or none that they share gives all dots one colour."""
    grouping = Grouping(field, usual_way(field))
    counts = served.counted.of(searcher, collection, grouping, None, (field.name, grouping.by, ""))
    return counts.values > 1 or (counts.values == 1 and counts.having < counts.points)


def _chosen(served: State, name: str, ids: list[str]) -> list[Shown]:
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        stored = collection.payloads([each for each in ids if is_point_id(each)])
    hits = [
        Hit(each, 0.0, label_of(stored[each]), text_of(stored[each], "uri"), stored[each])
        for each in ids
        if each in stored
    ]
    answers = [HitAnswer(**documents.hit(hit, searcher.metadata)) for hit in hits]
    return [shown(name, answer, Asked(), near=False) for answer in answers]
