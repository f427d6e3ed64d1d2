"""`GET /api/collections/{name}/points/{id}/agreement`: whether a found picture is the query's, and where they agree.

In: a stored point, and a query that is a picture. Out: the keypoints that agree, and what that means in words.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cbir.serve.state import Served

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cbir.search.duplicates.look import Look
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/points/{point}", tags=["search"])

#: Pixels of the longer side of what is compared; a look has half of that.
_SIDE = 1024
Share = float


class AgreementAnswer(BaseModel):
    """What two pictures are to each other."""

    relation: Literal["edited", "alike"] | None = Field(
        description="One is an edited copy of the other, they show one motif, or neither."
    )
    agreeing: int = Field(description="Keypoints that agree on how one lies in the other.")
    pairs: list[tuple[Share, Share, Share, Share]] = Field(
        description="Where they are: x and y in the query, then in the point's picture, in shares of its sides."
    )
    verdict: str = Field(description="The same in words.")


@router.get("/agreement", summary="Compare a query's picture with a stored one")
async def agreement(
    name: str,
    point: str,
    query: Annotated[str, Query(description="`id:POINT` or `up:UPLOAD`.", pattern="^(id|up):.+", examples=["up:x"])],
    served: Served,
) -> AgreementAnswer:
    """Compare a query's picture with a stored one by their keypoints."""
    return await served.gate.run(_compared, served, name, query, point)


@dataclass(frozen=True)
class _Seen:
    look: Look
    size: tuple[int, int]
    taken_at: object = None


def _compared(served: State, name: str, query: str, point: str) -> AgreementAnswer:
    from cbir.search.duplicates.alignment import LEAST_AGREEING, aligned
    from cbir.search.duplicates.compared import differ
    from cbir.search.duplicates.relation import EDITED, UNNOTICED, described, relation

    kind, _, value = query.partition(":")
    ours = _uploaded(served, value) if kind == "up" else _stored(served, name, value)
    theirs = _stored(served, name, point)
    other_time = differ(ours.taken_at, theirs.taken_at)
    found = relation(ours.look, theirs.look, other_time=other_time)
    alignment = aligned(ours.look, theirs.look)
    agreeing = 0 if alignment is None or found is None else alignment.agreeing
    points = f"{agreeing} keypoints agree"
    if found is None:
        verdict = f"Not the same picture: fewer than {LEAST_AGREEING} keypoints agree."
    elif found.kind == EDITED:
        done = described(found, ours.look, theirs.look, (ours.size, theirs.size))
        changed = "" if done == UNNOTICED else f"; next to the query's, this one is {done}"
        verdict = f"The same picture{changed}" + (f"; {points}." if agreeing else ".")
    else:
        verdict = f"The same motif: {points}. Whether one is an edited copy of the other is not certain."
    pairs = [] if alignment is None or not agreeing else _shares(alignment.pairs, ours.look, theirs.look)
    return AgreementAnswer(relation=found and found.kind, agreeing=agreeing, pairs=pairs, verdict=verdict)  # type: ignore[arg-type]


def _stored(served: State, name: str, point: str) -> _Seen:
    from cbir.serve.stored import DatasetPicture

    searcher = served.library.searcher(name)
    payload, found = served.pictures.find(searcher, point)
    if isinstance(found, DatasetPicture):
        return _seen(served.pictures.of_dataset(searcher, found))
    picture = _opened(served.pictures.decoding.webp(found.read(), found.path, _SIDE))
    sides = payload.get("width"), payload.get("height")
    size = (sides[0], sides[1]) if isinstance(sides[0], int) and isinstance(sides[1], int) else picture.size
    return _seen(picture, size, payload.get("taken_at"))


def _uploaded(served: State, upload: str) -> _Seen:
    found = served.uploads.get(upload)
    return _seen(_opened(served.uploads.preview(found)), (found.width, found.height))


def _opened(webp: bytes) -> Image.Image:
    """Open a picture that this server has written itself."""
    from PIL import Image

    return Image.open(io.BytesIO(webp))


def _seen(picture: Image.Image, size: tuple[int, int] | None = None, taken_at: object = None) -> _Seen:
    from cbir.search.duplicates.look import look

    return _Seen(look(picture), size or picture.size, taken_at)


def _shares(pairs: np.ndarray, ours: Look, theirs: Look) -> list[tuple[float, float, float, float]]:
    sides = [*reversed(ours.shape), *reversed(theirs.shape)]
    return [tuple(row) for row in ((pairs + 0.5) / sides).round(4).tolist()]
