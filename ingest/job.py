"""One ingest from beginning to end: an encoder, a collection, the loop, the index.

In: a source and where models and collections are kept. Out: a report. The
collection decides the model once it exists; `retrain` replaces both, and the
old ones stay in use until the new ones are whole.
"""

import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from collection.interface import Collection, Engine, Metadata, check_encoder
from ingest.learn import adopt_bundle, train_bundle
from ingest.source import Source
from ingest.store import Stored, store
from model.bundle import Bundle, read_bundle
from model.progress import Progress, silent
from model.recipe import Recipe


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
    *,
    model: Path | None = None,
    retrain: bool = False,
    recipe: Recipe | None = None,
    limit: int | None = None,
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
    model : Path, optional
        Use this bundle, `.keras` or `.h5` file instead of training.
    retrain : bool
        Train again although there is a model, and build the collection anew with it.
    recipe : Recipe, optional
        For training; the article's by default.
    limit : int, optional
        The most items to take from the source.
    index : bool, optional
        Build the HNSW index, or do not; by default when it pays.
    progress : Progress
        Stages `read`, `train`, `encode`, `index`.

    Raises
    ------
    CollectionError
        The collection was filled by another encoder, or is in use.
    SourceError, ModelError
        The source or the model cannot be used.
    """
    existing = engine.metadata(name) if name in engine.names() else None
    clock = time.perf_counter()
    bundle, trained = _bundle(existing, source, name, models, model, retrain, recipe or Recipe(), limit, progress)
    train_seconds = time.perf_counter() - clock if trained else 0.0
    if existing and not retrain:
        check_encoder(name, existing, bundle.fingerprint, bundle.path)
    encoder = bundle.encoder()

    count = min(len(source), limit or len(source))
    with _collection(engine, name, existing, _metadata(bundle, source, limit), retrain) as collection:
        stored = store(
            itertools.islice(source.items(), count), encoder, collection, source.name, total=count, progress=progress
        )
        index_seconds = _build_index(collection, index, progress)
        collection.remember(_updated(collection.metadata, source, limit, stored))
        points = collection.count()
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
            "train": train_seconds,
            "encode": stored.encode_seconds,
            "upsert": stored.upsert_seconds,
            "index": index_seconds,
        },
    )


def _bundle(
    existing: Metadata | None,
    source: Source,
    name: str,
    models: Path,
    model: Path | None,
    retrain: bool,
    recipe: Recipe,
    limit: int | None,
    progress: Progress,
) -> tuple[Bundle, bool]:
    """Find, adopt or train the model bundle; tell whether it was trained."""
    if model is not None:
        return adopt_bundle(models, name, model), False
    if not retrain:
        if existing is not None:
            return read_bundle(models / existing.model), False
        if (models / name).is_dir():
            return read_bundle(models / name), False
    return train_bundle(models, name, source, recipe, limit=limit, progress=progress), True


@contextmanager
def _collection(
    engine: Engine, name: str, existing: Metadata | None, metadata: Metadata, retrain: bool
) -> Iterator[Collection]:
    if existing and retrain:
        with engine.replacement(name, metadata) as collection:
            yield collection
        return
    collection = engine.open(name) if existing else engine.create(name, metadata)
    try:
        yield collection
    finally:
        collection.close()


def _build_index(collection: Collection, wanted: bool | None, progress: Progress) -> float:
    """Build the HNSW index beside this thread, so that Ctrl-C and the clock keep working."""
    if not (collection.index_pays() if wanted is None else wanted):
        return 0.0
    start = time.perf_counter()
    failures: list[BaseException] = []

    def build() -> None:
        try:
            collection.build_index()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            failures.append(error)

    worker = threading.Thread(target=build, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(0.2)
            progress("index", 0, None, f"{time.perf_counter() - start:.0f} s")
    except KeyboardInterrupt:
        # Qdrant cannot be interrupted here, and closing waits for it.
        progress("index", 0, None, "stopping once Qdrant has finished")
        raise
    if failures:
        raise failures[0]
    progress("index", 1, 1, f"{time.perf_counter() - start:.0f} s")
    return time.perf_counter() - start


def _metadata(bundle: Bundle, source: Source, limit: int | None) -> Metadata:
    now = _now()
    return Metadata(
        fingerprint=bundle.fingerprint,
        dimension=bundle.dimension,
        model=bundle.name,
        source=source.name,
        limit=limit,
        input_shape=bundle.preprocessing.shape,
        version=version("cbir"),
        created=now,
        updated=now,
    )


def _updated(metadata: Metadata, source: Source, limit: int | None, stored: Stored) -> Metadata:
    brightness = np.concatenate([np.empty(0, np.float32), *stored.brightness])
    return replace(
        metadata,
        source=source.name,
        limit=limit,
        background=_merged(metadata.background, brightness),
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
