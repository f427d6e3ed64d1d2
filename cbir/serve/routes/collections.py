"""`GET /api/collections` and `/api/collections/{name}`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter

from cbir.collection.errors import CollectionError
from cbir.core.errors import CbirError
from cbir.serve.schemas import CollectionAnswer, CollectionDetails, CollectionsAnswer, IngestAnswer
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
    found, ingests = served.library.all_metadata(), _ingests(served)
    answers = [_answer(name, each, ingests.get(name)) for name, each in found.items()]
    default = served.library.first() if any(each.problem is None for each in answers) else None
    for name, ingest in ingests.items():
        if name not in found and ingest.ended is None:
            answers.append(_answer(name, CollectionError(f"collection '{name}' is being made"), ingest))
    return CollectionsAnswer(location=served.library.location, default=default, collections=answers)


def _answer(name: str, found: Metadata | CollectionError, ingest: IngestAnswer | None) -> CollectionAnswer:
    if isinstance(found, CollectionError):
        return CollectionAnswer(name=name, dimension=None, updated=None, problem=str(found), ingest=ingest)
    return CollectionAnswer(name=name, dimension=found.dimension, updated=found.updated, problem=None, ingest=ingest)


def _ingests(served: State) -> dict[str, IngestAnswer]:
    return {name: IngestAnswer(**asdict(ingest)) for name, ingest in served.ingesting.now().items()}


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
        ingest=_ingests(served).get(name),
        points=points,
        encoder=searcher.bundle.kind,
        fingerprint=searcher.bundle.fingerprint,
        words=searcher.bundle.understands_words,
    )
