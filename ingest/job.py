"""One ingest from beginning to end: an encoder, a collection, the loop, the index.

In: a source, an engine and the folder of models. Out: a report. The collection
decides the model once it exists; `retrain` replaces both, and the old ones stay
in use until the new ones are complete.
"""

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cbir.collection.checks import validated_name
from cbir.collection.errors import CollectionError
from cbir.collection.indexing import build_index
from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.core.progress import Progress, silent
from cbir.ingest.learn import Plan, bundle_for
from cbir.ingest.shard import Share, ingest_share
from cbir.ingest.sources.source import LeftOut, Source, SourceError, limited
from cbir.ingest.store import Stored, merged
from cbir.ingest.target import find_target, open_target
from cbir.model.bundle import Bundle


@dataclass(frozen=True)
class Report:
    """What an ingest did.

    Attributes
    ----------
    collection : str
    points : int
        In the collection now.
    ingested : int
        Images that were encoded and stored.
    updated : int
        Stored images whose payload alone was replaced.
    unchanged : int
        Stored images with nothing to change.
    unreadable : list of (uri, reason)
        Skipped.
    left_out : list of LeftOut
        What the source does not take, and why.
    model : Bundle
    trained : bool
        By this run.
    usual_for : str
        What the pictures are like, where that decided which encoder it is; else empty.
    seconds : dict
        `train`, `encode`, `upsert`, `index`.
    """

    collection: str
    points: int
    ingested: int
    updated: int
    unchanged: int
    unreadable: list[tuple[str, str]]
    left_out: list[LeftOut]
    model: Bundle
    trained: bool
    usual_for: str
    seconds: dict[str, float]


def run(
    source: Source,
    name: str,
    engine: Engine,
    models: Path,
    plan: Plan,
    *,
    model: Path | None = None,
    retrain: bool = False,
    require_plan: bool = False,
    add_source: bool = True,
    limit: int | None = None,
    smooth: int | None = None,
    index: bool | None = None,
    progress: Progress = silent,
) -> Report:
    """Fill a collection from a source.

    Parameters
    ----------
    source : Source
    name : str
        The collection's name, and a new model's.
    engine : Engine
    models : Path
        Folder of model bundles.
    plan : Plan
        The encoder to learn, if there is none yet.
    model : Path, optional
        Use this bundle, `.onnx`, `.keras` or `.h5` file instead of training.
    retrain : bool
        Train again although there is a model, and rebuild the collection with it.
    require_plan : bool
        Refuse a collection that was filled by another kind of encoder than the plan's.
    add_source : bool
        Whether this source may be added to a collection that holds only others.
    limit : int, optional
        The most items to take from the source.
    smooth : int, optional
        Store the average of each feature and this many nearest; by default the collection's number,
        and 0 for a new one.
    index : bool, optional
        Build the HNSW index, or do not; by default when it pays.
    progress : Progress
        Stages `read`, `train`, `export`, `encode`, `smooth`, `index`.

    Raises
    ------
    CollectionError
        The collection was filled by another encoder or with another `smooth`, is in use or being filled,
        or `retrain` would drop another source's points.
    SourceError, ModelError
        The source or the model cannot be used.
    """
    source = limited(source, limit)
    count = len(source)
    with engine.writing(validated_name(name)):
        target = find_target(engine, name, source, retrain=retrain, add_source=add_source, smooth=smooth)
        ready = bundle_for(
            target, engine, models, plan, model=model, require_plan=require_plan, limit=limit, progress=progress
        )
        bundle = ready.bundle
        share = Share(target.source, 0, count, bundle.path)
        stored = Stored()
        with open_target(engine, target, _new_metadata(bundle, target.smooth)) as collection:
            collection.pause_indexing()
            before = collection.metadata
            # Before anything is stored: a process that is killed must not leave points of an unknown source.
            if (known := _with_source(before, target.source, bundle)) != before:
                collection.remember(known)
            try:
                with closing(ingest_share(share, collection, made=ready.made, progress=progress)) as batches:
                    for batch in batches:
                        stored += batch
            except BaseException:
                # Report what stopped the work, not that a server could not be tidied up afterwards. The source stays:
                # a batch may be stored that was not counted.
                with suppress(CollectionError):
                    collection.remember(_finished(collection.metadata, stored))
                raise
            known = _finished(collection.metadata, stored)
            if not stored.ingested + stored.updated + stored.unchanged:  # nothing could be read
                known = replace(known, sources=before.sources, roots=before.roots)
            collection.remember(known)
            points = collection.count()
            if not points:
                raise SourceError(f"none of the {count} pictures of {source} can be read")
        # Afterwards, in place: whatever happens to the index, the points stay.
        index_seconds = build_index(engine, name, index, progress)
    return Report(
        collection=name,
        points=points,
        ingested=stored.ingested,
        updated=stored.updated,
        unchanged=stored.unchanged,
        unreadable=[*source.problems, *stored.unreadable],
        left_out=list(source.left_out),
        model=bundle,
        trained=ready.trained,
        usual_for=ready.usual_for,
        seconds={
            "train": bundle.metadata["seconds"] if ready.trained else 0.0,
            "encode": stored.encode_seconds,
            "upsert": stored.upsert_seconds,
            "index": index_seconds,
        },
    )


def _new_metadata(bundle: Bundle, smooth: int) -> Metadata:
    now = _now()
    return Metadata(
        fingerprint=bundle.fingerprint,
        dimension=bundle.dimension,
        model=bundle.name,
        sources=(),
        input_shape=bundle.preprocessing.shape,
        version=version("cbir"),
        created=now,
        updated=now,
        smooth=smooth,
    )


def _with_source(metadata: Metadata, source: Source, bundle: Bundle) -> Metadata:
    """Return the metadata with a source and where it is; a folder of format 1 has its path for a name, and no root."""
    return replace(
        metadata,
        model=bundle.name,
        sources=tuple(dict.fromkeys((*metadata.sources, source.name))),
        roots={**metadata.roots, **source.roots},
    )


def _finished(metadata: Metadata, stored: Stored) -> Metadata:
    """Return the metadata after an ingest, or after the part of it that was done."""
    return replace(metadata, background=merged(metadata.background, stored.background), updated=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
