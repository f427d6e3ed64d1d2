"""`GET /api/collections` and `/api/collections/{name}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from cbir.collection.errors import CollectionError
from cbir.core.errors import CbirError
from cbir.serve.schemas import CollectionAnswer, CollectionDetails, CollectionsAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.collection.metadata import Metadata
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections", tags=["collections"])


@router.get("")
async def collections(served: Served) -> CollectionsAnswer:
    """List the collections."""
    return await served.gate.run(_collections, served)


@router.get("/{name}")
async def collection(name: str, served: Served) -> CollectionDetails:
    """Describe a collection."""
    return await served.gate.run(_described, served, name)


def _collections(served: State) -> CollectionsAnswer:
    answers = [_answer(name, found) for name, found in served.library.all_metadata().items()]
    default = served.library.first() if any(each.problem is None for each in answers) else None
    return CollectionsAnswer(location=served.library.location, default=default, collections=answers)


def _answer(name: str, found: Metadata | CollectionError) -> CollectionAnswer:
    if isinstance(found, CollectionError):
        return CollectionAnswer(name=name, dimension=None, updated=None, problem=str(found))
    return CollectionAnswer(name=name, dimension=found.dimension, updated=found.updated, problem=None)


def _described(served: State, name: str) -> CollectionDetails:
    searcher = served.library.searcher(name)
    try:
        points, problem = searcher.info().points, None
    except CbirError as error:
        points, problem = None, str(error)
    return CollectionDetails(
        name=name,
        dimension=searcher.metadata.dimension,
        updated=searcher.metadata.updated,
        problem=problem,
        points=points,
        encoder=searcher.bundle.kind,
        fingerprint=searcher.bundle.fingerprint,
        words=searcher.bundle.understands_words,
    )
