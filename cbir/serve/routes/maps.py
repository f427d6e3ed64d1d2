"""`/api/collections/{name}/map`: a collection seen whole, a place in two dimensions for each picture."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cbir.serve.mapped import OTHER, WITHOUT
from cbir.serve.problems import NotFoundError
from cbir.serve.schemas import WorkAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.search.map.kept import Map
    from cbir.serve.background import Work
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/map", tags=["map"])

Method = Literal["principal", "neighbours"]


class MapAnswer(WorkAnswer):
    """How far a map is, and what there is of it."""

    points: int | None = Field(description="Pictures on it; null while it is not made.", examples=[60000])
    version: str | None = Field(description="What it shows, as a hash.", examples=["8f14e45fceea167a"])
    methods: list[Method] = Field(description="How its points are arranged.", examples=[["principal"]])
    placed: int = Field(description="Pictures that came beside their neighbours after these were arranged.")
    install: str | None = Field(description="What to type to arrange by neighbours; null where that can be done.")


class ColourValue(BaseModel):
    """A value, and how many pictures of the map have it."""

    value: bool | int | str
    count: int


class ColoursAnswer(BaseModel):
    """What the points of a map count as by a field."""

    version: str
    field: str
    values: list[ColourValue] = Field(description="The most frequent values, in their natural order.")
    other: int = Field(description="Pictures that have another value.")
    without: int = Field(description="Pictures that have none.")
    groups: str = Field(
        description="Base64: a byte for each point, its place in `values`; 254: another value, 255: none.",
        examples=["AAEC/v8="],
    )


@router.get("", summary="Tell how far a collection's map is")
async def state(name: str, served: Served) -> MapAnswer:
    """Tell how far a map is; it is made by principal components when first asked for, in the background."""
    return await served.gate.run(_told, served, name, begin=False)


@router.post("", status_code=202, summary="Arrange a map by neighbours", responses={501: {}})
async def arrange(name: str, served: Served) -> MapAnswer:
    """Begin to arrange pictures so that those that are like each other are near: minutes for tens of thousands."""
    return await served.gate.run(_told, served, name, begin=True)


@router.get(
    "/points",
    summary="Get the places of all pictures",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "What the `ETag` that was sent names is what there is."},
    },
)
async def places(
    name: str,
    served: Served,
    method: Annotated[Method, Query(description="One of the map's `methods`.")] = "principal",
    if_none_match: Annotated[str | None, Header(description="An `ETag` of this.")] = None,
) -> Response:
    """Get n pairs of float32, little-endian, and then the n ids of the points, 16 bytes each."""
    made = await served.gate.run(_made, served, name)
    arrangement = made.principal if method == "principal" else made.neighbours
    if arrangement is None:
        raise NotFoundError(f"the pictures of '{name}' are not arranged by neighbours yet")
    tag = f'"{made.version}-{method}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    content = arrangement.astype("<f4").tobytes() + made.ids.tobytes()
    return Response(content, headers=headers, media_type="application/octet-stream")


@router.get("/colours", summary="Get what the pictures count as")
async def colours(
    name: str,
    served: Served,
    field: Annotated[str, Query(description="One of `.../fields`.", max_length=2000, examples=["label"])],
) -> ColoursAnswer:
    """Get for each point which of the most frequent values of a field it has."""
    return await served.gate.run(_colours, served, name, field)


def _told(served: State, name: str, *, begin: bool) -> MapAnswer:
    from cbir.search.map.neighbouring import can_arrange, how_to_install

    searcher = served.library.searcher(name)
    if begin and not can_arrange():
        raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, how_to_install())
    known, work = served.maps.arrange(searcher) if begin else served.maps.of(searcher)
    return _answer(known, work, None if can_arrange() else how_to_install())


def _answer(known: Map | None, work: Work[Map], install: str | None) -> MapAnswer:
    methods: list[Method] = []
    if known is not None:
        methods = ["principal"] if known.neighbours is None else ["principal", "neighbours"]
    return MapAnswer(
        stage=work.stage,
        done=work.done,
        total=work.total,
        problem=work.problem,
        points=None if known is None else len(known.ids),
        version=None if known is None else known.version,
        methods=methods,
        placed=0 if known is None else known.placed,
        install=install,
    )


def _made(served: State, name: str) -> Map:
    known, _ = served.maps.of(served.library.searcher(name))
    if known is None:
        raise NotFoundError(f"the map of '{name}' is not made yet: ask /api/collections/{name}/map how far it is")
    return known


def _colours(served: State, name: str, field: str) -> ColoursAnswer:
    made = _made(served, name)
    found = served.maps.colouring(served.library.searcher(name), made, field)
    return ColoursAnswer(
        version=made.version,
        field=field,
        values=[ColourValue(value=value, count=count) for value, count in found.values],
        other=int(np.count_nonzero(found.groups == OTHER)),
        without=int(np.count_nonzero(found.groups == WITHOUT)),
        groups=b64encode(found.groups.tobytes()).decode(),
    )
