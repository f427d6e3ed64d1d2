"""`GET /api/collections/{name}/fields` and `.../facets`: what can be filtered by, and how many pictures that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query

from cbir.collection.filter_text import known_field
from cbir.collection.groups import By, Grouping, usual_way, ways
from cbir.collection.stored_fields import StoredFields, read_where
from cbir.serve.counted import MOST_VALUES
from cbir.serve.schemas import Condition, FacetAnswer, FacetValue, FieldAnswer, FieldsAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}", tags=["filters"])


@router.get("/fields", summary="List the fields that can be filtered by")
async def fields(name: str, served: Served) -> FieldsAnswer:
    """List the fields that pictures of a collection have, of some pictures if there are many."""
    return await served.gate.run(_fields, served, name)


@router.get("/facets", summary="Count the values of a field")
async def facets(
    name: str,
    served: Served,
    field: Annotated[str, Query(description="One of `.../fields`.", max_length=2000, examples=["label"])],
    where: Annotated[
        list[Condition], Query(max_length=64, description="Count only pictures that pass these conditions.")
    ] = [],  # noqa: B006 - FastAPI copies it
    by: Annotated[
        By | None, Query(description="How values are counted together; by default the first way that the field has.")
    ] = None,
    below: Annotated[
        str, Query(max_length=2000, description="By part: only what is in or below this folder.", examples=["Holidays"])
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_VALUES, description="Values at the most.")] = 20,
) -> FacetAnswer:
    """Count the pictures that have each value of a field, or each year, month, day or folder; most frequent first."""
    return await served.gate.run(_facets, served, name, field, where, by, below, limit)


def _fields(served: State, name: str) -> FieldsAnswer:
    with served.library.searcher(name).used() as collection:
        known = StoredFields(collection)
        found = [known[each] for each in known]
    return FieldsAnswer(
        collection=name,
        fields=[FieldAnswer(name=each.name, types=[*each.types], about=each.about, by=[*ways(each)]) for each in found],
    )


def _facets(
    served: State, name: str, field: str, where: list[str], by: By | None, below: str, limit: int
) -> FacetAnswer:
    searcher = served.library.searcher(name)
    with searcher.used() as collection:
        known = known_field(field, StoredFields(collection))
        grouping = Grouping(known, by or usual_way(known), below)
        passing = read_where(where, collection) if where else None
        counts = served.counted.of(searcher, collection, grouping, passing, (field, *where, grouping.by, below))
    found = counts.found[:limit]
    values = [FacetValue(value=value, count=count, where=grouping.condition(value)) for value, count in found]
    return FacetAnswer(
        collection=name,
        field=field,
        by=grouping.by,
        values=values,
        more=max(0, counts.values - limit),
        points=counts.points,
        without=counts.points - counts.having,
    )
