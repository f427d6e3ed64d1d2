"""`GET` and `POST /api/collections/{name}/duplicates`: what a collection holds more than once; nothing is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import Field

from cbir.serve.schemas import WorkAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}/duplicates", tags=["duplicates"])


class DuplicatesAnswer(WorkAnswer):
    """How far the search for duplicates is (load, calibrate, candidates, confirm), or what was found."""

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
    found = None if looked.result is None else looked.result.as_json()
    return DuplicatesAnswer(
        stage=looked.stage, done=looked.done, total=looked.total, problem=looked.problem, found=found
    )
