"""One ingest from beginning to end: an encoder, a collection, the loop, the index.

In: a source, an engine and the folder of models. Out: a report. The collection
decides the model once it exists; `retrain` replaces both, and the old ones stay
in use until the new ones are complete.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cbir.collection.checks import check_encoder, check_smooth, validated_name
from cbir.collection.errors import CollectionError, NewerFormatError
from cbir.collection.indexing import build_index
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import CbirWarning
from cbir.core.progress import Progress, silent
from cbir.ingest.learn import Plan, train_bundle
from cbir.ingest.roots import known_as
from cbir.ingest.shard import Share, ingest_share
from cbir.ingest.sources.source import Source, SourceError
from cbir.ingest.store import Stored, merged
from cbir.model.bundle import Bundle, read_bundle
from cbir.model.bundles import adopt_bundle


@dataclass(frozen=True)
class Report:
    """What an ingest did.

    Attributes
    ----------
    collection : str
    points : int
        In the collection now.
    ingested, described, unchanged : int
        Encoded and written by this run; stored before, and only the payload replaced; stored before as they are.
    unreadable : list of (uri, reason)
        Skipped.
    passed_over : int
        Pictures that the source does not read (in folders deeper than one level, of other formats).
    model : Bundle
    trained : bool
        By this run.
    seconds : dict
        `train`, `encode`, `upsert`, `index`.
    """

    collection: str
    points: int
    ingested: int
    described: int
    unchanged: int
    unreadable: list[tuple[str, str]]
    passed_over: int
    model: Bundle
    trained: bool
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
        The encoder to learn, where there is none yet.
    model : Path, optional
        Use this bundle, `.keras` or `.h5` file instead of training.
    retrain : bool
        Train again although there is a model, and rebuild the collection with it.
    require_plan : bool
        Refuse a collection that was filled by another kind of encoder than the plan's.
    add_source : bool
        Add to a collection that holds other sources, and not this one yet; else that is refused.
    limit : int, optional
        The most items to take from the source.
    smooth : int, optional
        Store each feature averaged with so many nearest; by default as the collection has it,
        and as it is in a new one.
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
    with engine.writing(validated_name(name)):
        target = _target(engine, name, source, retrain, smooth)
        if target.existing is not None and not add_source:
            _check_source(name, target.existing, target.source)
        bundle, trained = _bundle(engine, target, models, plan, model, require_plan, limit, progress)
        count = min(len(source), limit or len(source))
        share = Share(target.source, 0, count, bundle.path)
        stored = Stored()
        with _collection(engine, target, bundle) as collection:
            collection.pause_indexing()
            before = collection.metadata
            # First of all, so that a process that is killed does not leave points of a source that nobody knows.
            if (known := _with_source(before, target.source, bundle)) != before:
                collection.remember(known)
            try:
                for batch in ingest_share(share, collection, progress=progress):
                    stored += batch
            except BaseException:
                # Report what stopped the work, not that a server could not be tidied up afterwards.
                with suppress(CollectionError):
                    collection.remember(_finished(collection.metadata, before, stored))
                raise
            collection.remember(_finished(collection.metadata, before, stored))
            points = collection.count()
            if not points:
                raise SourceError(f"none of the {count} pictures of {source} can be read")
        # Afterwards, in place: whatever happens to the index, the points stay.
        index_seconds = build_index(engine, name, index, progress)
    return Report(
        collection=name,
        points=points,
        ingested=stored.ingested,
        described=stored.described,
        unchanged=stored.unchanged,
        unreadable=list(stored.unreadable),
        passed_over=source.passed_over,
        model=bundle,
        trained=trained,
        seconds={
            "train": bundle.metadata["seconds"] if trained else 0.0,
            "encode": stored.encode_seconds,
            "upsert": stored.upsert_seconds,
            "index": index_seconds,
        },
    )


@dataclass(frozen=True)
class _Target:
    """Where the points go: a new collection (no metadata), one to add to, or one to replace.

    `source` has the name that it has there.
    """

    name: str
    source: Source
    existing: Metadata | None
    retrain: bool
    replaces: bool
    smooth: int


def _target(engine: Engine, name: str, source: Source, retrain: bool, smooth: int | None) -> _Target:
    if not engine.exists(name):
        return _Target(name, known_as(source, None), None, retrain, replaces=False, smooth=smooth or 0)
    if not retrain:
        existing = engine.metadata(name)
        if smooth is not None:
            check_smooth(name, existing, smooth)
        known = known_as(source, existing)
        _warn_if_moved(name, existing, known)
        return _Target(name, known, existing, retrain, replaces=False, smooth=existing.smooth)
    others: list[str] = []
    try:
        replaced = engine.metadata(name)
    except NewerFormatError:
        raise
    except CollectionError:
        pass  # damaged: that is what rebuilding is for
    else:
        own = known_as(source, replaced).name
        others = [_place(replaced, other) for other in replaced.sources if other != own]
        smooth = replaced.smooth if smooth is None else smooth
    if others:
        raise CollectionError(
            f"collection '{name}' holds {', '.join(others)}, which retraining on {source} would drop; "
            f"name that source, or another --collection"
        )
    return _Target(name, known_as(source, None), None, retrain, replaces=True, smooth=smooth or 0)


def _place(metadata: Metadata, source: str) -> str:
    """Return what opens a source of a collection: a dataset's name or a folder's path."""
    return metadata.roots.get(source, source)


def _check_source(name: str, existing: Metadata, source: Source) -> None:
    """Refuse to add a source to a collection of another one, unless the collection was named."""
    if existing.sources and source.name not in existing.sources:
        places = ", ".join(_place(existing, known) for known in existing.sources)
        raise CollectionError(
            f"collection '{name}' holds {places}. To add {source} to it, write --collection {name}; "
            "else give another name with --collection."
        )


def _warn_if_moved(name: str, existing: Metadata, source: Source) -> None:
    before = existing.roots.get(source.name)
    if before not in (None, str(source.root)):
        warnings.warn(
            f"{before}, which collection '{name}' holds, is gone; {source} is taken to be that folder, moved",
            CbirWarning,
            stacklevel=2,
        )


def _bundle(
    engine: Engine,
    target: _Target,
    models: Path,
    plan: Plan,
    model: Path | None,
    require_plan: bool,
    limit: int | None,
    progress: Progress,
) -> tuple[Bundle, bool]:
    """Find, adopt or train the model bundle; say whether it was trained."""
    name, existing = target.name, target.existing
    if model is not None:
        return adopt_bundle(models, name, model, lambda found: _check(name, existing, found, model)), False
    if existing is not None:
        bundle = read_bundle(models / existing.model)
        _check(name, existing, bundle.fingerprint, bundle.path)
        if require_plan:
            _check_plan(name, bundle, plan)
        return bundle, False
    in_use = _in_use(engine)
    # A model of this name that no collection uses: trained for this one before it was made.
    if not target.retrain and (models / name).is_dir() and name not in in_use:
        left = read_bundle(models / name)
        if plan.size in (None, left.preprocessing.height) and (not require_plan or left.kind == plan.kind.name):
            return left, False
    return train_bundle(
        models, name, target.source, plan, in_use=in_use, anew=target.retrain, limit=limit, progress=progress
    )


def _check(name: str, existing: Metadata | None, fingerprint: str, path: Path) -> None:
    if existing is not None:
        check_encoder(name, existing, fingerprint, path)


def _check_plan(name: str, bundle: Bundle, plan: Plan) -> None:
    """Refuse another kind of encoder, or another input size, than the collection's."""
    side = bundle.preprocessing.height
    if bundle.kind != plan.kind.name or plan.size not in (None, side):
        wanted = plan.kind.name if plan.size is None else f"{plan.kind.name} at {plan.size}x{plan.size}"
        raise CollectionError(
            f"collection '{name}' was filled by encoder '{bundle.kind}' at {side}x{side}, not {wanted}; "
            "name another --collection, or rebuild this one with --retrain"
        )


def _in_use(engine: Engine) -> set[str]:
    """Return the names of the models that collections need."""
    names = set()
    for name in engine.names():
        with suppress(CollectionError):
            names.add(engine.metadata(name).model)
    return names


@contextmanager
def _collection(engine: Engine, target: _Target, bundle: Bundle) -> Iterator[Collection]:
    if target.replaces:
        with engine.replacement(target.name, _new_metadata(bundle, target.smooth)) as collection:
            yield collection
        return
    if target.existing:
        collection = engine.open(target.name)
    else:
        collection = engine.create(target.name, _new_metadata(bundle, target.smooth))
    try:
        yield collection
    except BaseException:
        with suppress(CollectionError):
            _close(engine, target, collection)
        raise
    _close(engine, target, collection)


def _close(engine: Engine, target: _Target, collection: Collection) -> None:
    """Close a collection, and remove it if it is a new one that stayed empty."""
    try:
        empty = not target.existing and not collection.count()
    finally:
        collection.close()
    if empty:
        engine.delete(target.name)


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
    has_root = source.root is not None and source.name != str(source.root)
    return replace(
        metadata,
        model=bundle.name,
        sources=tuple(dict.fromkeys((*metadata.sources, source.name))),
        roots={**metadata.roots, **({source.name: str(source.root)} if has_root else {})},
    )


def _finished(metadata: Metadata, before: Metadata, stored: Stored) -> Metadata:
    """Return the metadata after an ingest; a source of which nothing could be read is forgotten."""
    if not stored.ingested + stored.described + stored.unchanged:
        metadata = replace(metadata, sources=before.sources, roots=before.roots)
    return replace(metadata, background=merged(metadata.background, stored.background), updated=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
