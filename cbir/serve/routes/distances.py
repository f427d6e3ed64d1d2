"""`GET` and `POST /api/collections/{name}/distances`: what a distance means in a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/distances", tags=["search"])


class Mark(BaseModel):
    """A share of edited copies, and how far from their originals so many are at the most."""

    share: float = Field(examples=[0.9])
    distance: float


class DistancesAnswer(BaseModel):
    """What a distance means."""

    farthest: float = Field(description="99 of 100 random pairs of stored pictures are no farther apart.")
    copies: list[Mark] | None = Field(description="How far edited copies are from their originals; null: not measured.")
    measuring: tuple[int, int] | None = Field(description="Pictures edited so far, and in all, while that is measured.")
    problem: str | None = Field(description="Why it could not be measured.")


@router.get("", summary="Tell what a distance means")
async def distances(name: str, served: Served) -> DistancesAnswer:
    """Tell how far pictures of a collection are from each other, and edited copies from their originals."""
    return await served.gate.run(_told, served, name, measure=False)


@router.post("", status_code=202, summary="Measure how far edited copies are")
async def measure(name: str, served: Served) -> DistancesAnswer:
    """Begin to measure how far edited copies are from their originals: some pictures are edited and encoded."""
    return await served.gate.run(_told, served, name, measure=True)


def _told(served: State, name: str, *, measure: bool) -> DistancesAnswer:
    searcher = served.library.searcher(name)
    apart = served.distances.measure(searcher) if measure else served.distances.of(searcher)
    work = apart.copies
    copies = None if work.result is None else [Mark(share=share, distance=far) for share, far in work.result]
    measuring = (work.done, work.total or work.done) if work.stage else None
    return DistancesAnswer(farthest=apart.farthest, copies=copies, measuring=measuring, problem=work.problem)
