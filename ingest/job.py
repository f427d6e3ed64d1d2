"""One ingest from beginning to end: an encoder, a collection, the loop, the index.

In: a source and where models and collections are kept. Out: a report. The
collection decides the model once it exists; `retrain` replaces both, and the
old ones stay in use until the new ones are whole.
"""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cbir.collection.checks import check_encoder, check_smooth, validated_name
from cbir.collection.errors import CollectionError, NewerFormatError
from cbir.collection.indexing import build_index
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.progress import Progress, silent
from cbir.ingest.learn import Plan, train_bundle
from cbir.ingest.sources.source import Source, SourceError
from cbir.ingest.store import Stored, store
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
    ingested, unchanged : int
        Written by this run; found there already as they are.
    unreadable : list of (uri, reason)
        Skipped.
    passed_over : int
        Pictures that lie where the source does not look (deeper than one folder level).
    model : Bundle
    trained : bool
        By this run.
    seconds : dict
        `train`, `encode`, `upsert`, `index`.
    """

    collection: str
    points: int
    ingested: int
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
    insist: bool = False,
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
        Train again although there is a model, and build the collection anew with it.
    insist : bool
        Refuse a collection that was filled by another kind of encoder than the plan's.
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
        bundle, trained = _bundle(engine, target, source, models, plan, model, insist, limit, progress)
        encoder = bundle.encoder()
        count = min(len(source), limit or len(source))
        stored = Stored()
        with _collection(engine, target, _metadata(bundle, source, target.smooth)) as collection:
            collection.pause_indexing()
            try:
                items = itertools.islice(source.items(), count)
                store(items, encoder, collection, source.name, stored, total=count, progress=progress)
            except BaseException:
                # What stopped the work is to be told, not that a server could not be tidied up behind it.
                with suppress(CollectionError):
                    collection.remember(_updated(collection.metadata, bundle, source, stored))
                raise
            collection.remember(_updated(collection.metadata, bundle, source, stored))
            points = collection.count()
            if not points:
                raise SourceError(f"not one of the {count} pictures of {source.name} can be read")
        # Afterwards, in place: whatever happens to the index, the points stay.
        index_seconds = build_index(engine, name, index, progress)
    return Report(
        collection=name,
        points=points,
        ingested=stored.ingested,
        unchanged=stored.unchanged,
        unreadable=stored.unreadable,
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
    """Where the points go: a new collection (no metadata), one to add to, or one to replace."""

    name: str
    existing: Metadata | None
    retrain: bool
    replaces: bool
    smooth: int


def _target(engine: Engine, name: str, source: Source, retrain: bool, smooth: int | None) -> _Target:
    if not engine.exists(name):
        return _Target(name, None, retrain, replaces=False, smooth=smooth or 0)
    if not retrain:
        existing = engine.metadata(name)
        if smooth is not None:
            check_smooth(name, existing, smooth)
        return _Target(name, existing, retrain, replaces=False, smooth=existing.smooth)
    others: list[str] = []
    try:
        replaced = engine.metadata(name)
    except NewerFormatError:
        raise
    except CollectionError:
        pass  # damaged: that is what building anew is for
    else:
        others = [other for other in replaced.sources if other != source.name]
        smooth = replaced.smooth if smooth is None else smooth
    if others:
        raise CollectionError(
            f"collection '{name}' holds {', '.join(others)}, which training anew on {source.name} would drop; "
            f"name that source, or another --collection"
        )
    return _Target(name, None, retrain, replaces=True, smooth=smooth or 0)


def _bundle(
    engine: Engine,
    target: _Target,
    source: Source,
    models: Path,
    plan: Plan,
    model: Path | None,
    insist: bool,
    limit: int | None,
    progress: Progress,
) -> tuple[Bundle, bool]:
    """Find, adopt or train the model bundle; tell whether it was trained."""
    name, existing = target.name, target.existing
    if model is not None:
        return adopt_bundle(models, name, model, lambda found: _check(name, existing, found, model)), False
    if existing is not None:
        bundle = read_bundle(models / existing.model)
        _check(name, existing, bundle.fingerprint, bundle.path)
        if insist:
            _check_plan(name, bundle, plan)
        return bundle, False
    in_use = _in_use(engine)
    # A model of this name that no collection uses: trained for this one before it was made.
    if not target.retrain and (models / name).is_dir() and name not in in_use:
        left = read_bundle(models / name)
        if plan.size in (None, left.preprocessing.height) and (not insist or left.kind == plan.kind.name):
            return left, False
    return train_bundle(models, name, source, plan, in_use=in_use, anew=target.retrain, limit=limit, progress=progress)


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
            "name another --collection, or build this one anew with --retrain"
        )


def _in_use(engine: Engine) -> set[str]:
    """Name the models that collections need."""
    names = set()
    for name in engine.names():
        with suppress(CollectionError):
            names.add(engine.metadata(name).model)
    return names


@contextmanager
def _collection(engine: Engine, target: _Target, metadata: Metadata) -> Iterator[Collection]:
    if target.replaces:
        with engine.replacement(target.name, metadata) as collection:
            yield collection
        return
    collection = engine.open(target.name) if target.existing else engine.create(target.name, metadata)
    try:
        yield collection
    except BaseException:
        with suppress(CollectionError):
            _let_go(engine, target, collection)
        raise
    _let_go(engine, target, collection)


def _let_go(engine: Engine, target: _Target, collection: Collection) -> None:
    """Close a collection, and remove it if it is a new one that stayed empty."""
    try:
        empty = not target.existing and not collection.count()
    finally:
        collection.close()
    if empty:
        engine.delete(target.name)


def _metadata(bundle: Bundle, source: Source, smooth: int) -> Metadata:
    now = _now()
    return Metadata(
        fingerprint=bundle.fingerprint,
        dimension=bundle.dimension,
        model=bundle.name,
        sources=(source.name,),
        input_shape=bundle.preprocessing.shape,
        version=version("cbir"),
        created=now,
        updated=now,
        smooth=smooth,
    )


def _updated(metadata: Metadata, bundle: Bundle, source: Source, stored: Stored) -> Metadata:
    added = (source.name,) if stored.ingested or stored.unchanged else ()
    return replace(
        metadata,
        model=bundle.name,
        sources=tuple(dict.fromkeys((*metadata.sources, *added))),
        background=_merged(metadata.background, np.concatenate([np.empty(0, np.float32), *stored.brightness])),
        updated=_now(),
    )


def _merged(known: tuple[float, float, int] | None, values: np.ndarray) -> tuple[float, float, int] | None:
    """Add values to a (mean, standard deviation, count)."""
    mean, deviation, count = known or (0.0, 0.0, 0)
    total = count + len(values)
    if not total:
        return None
    added = values.astype(np.float64)
    new_mean = (mean * count + added.sum()) / total
    squares = (deviation**2 + mean**2) * count + (added**2).sum()
    return float(new_mean), math.sqrt(max(0.0, squares / total - new_mean**2)), total


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
