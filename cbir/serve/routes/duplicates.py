"""`GET` and `POST /api/collections/{name}/duplicates`: what a collection holds more than once; nothing is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/duplicates", tags=["duplicates"])


class DuplicatesAnswer(BaseModel):
    """How far the search for duplicates is, or what was found."""

    stage: str = Field(description="What is being done: load, calibrate, candidates, confirm; empty: nothing.")
    done: int = Field(description="Steps of this stage that are done.")
    total: int | None = Field(description="Steps of this stage in all, where that is known.")
    problem: str | None = Field(description="Why it could not be done.")
    found: dict[str, Any] | None = Field(description="As `cbir duplicates --json` prints it; null: not looked for yet.")


@router.get("", summary="Tell what a collection holds more than once")
async def duplicates(name: str, served: Served) -> DuplicatesAnswer:
    """Tell how far the search for duplicates is, or what was found since the collection changed last."""
    return await served.gate.run(_told, served, name, begin=False)


@router.post("", status_code=202, summary="Look for what a collection holds more than once")
async def look(name: str, served: Served) -> DuplicatesAnswer:
    """Begin to look for duplicates in the background, one collection at a time: pictures are opened and compared."""
    return await served.gate.run(_told, served, name, begin=True)


def _told(served: State, name: str, *, begin: bool) -> DuplicatesAnswer:
    searcher = served.library.searcher(name)
    looked = served.duplicated.begin(searcher) if begin else served.duplicated.of(searcher)
    found = None if looked.found is None else looked.found.as_json()
    return DuplicatesAnswer(
        stage=looked.stage, done=looked.done, total=looked.total, problem=looked.problem, found=found
    )
