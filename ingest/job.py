"""One ingest from beginning to end: an encoder, a collection, the loop, the index.

In: a source, an engine and the folder of models. Out: a report. The collection
decides the model once it exists; `retrain` replaces both, and the old ones stay
in use until the new ones are complete.
"""

import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from cbir.collection.errors import CollectionError
from cbir.collection.indexing import build_index
from cbir.collection.interface import Collection, Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import warn_caller
from cbir.core.progress import Progress, silent
from cbir.ingest.gone import Gone
from cbir.ingest.learn import Plan, Ready, bundle_for
from cbir.ingest.places import Places
from cbir.ingest.report import Log, LogFile, Report
from cbir.ingest.settle import Settled, prune, settle
from cbir.ingest.shard import Loop, Share, ingest_share
from cbir.ingest.sources.source import Source, SourceError, limited, nothing_to_read
from cbir.ingest.store import MOST_NAMED, Statistics, Stored, merged
from cbir.ingest.target import find_target, open_target
from cbir.ingest.unreadable import Unreadable
from cbir.model.bundle import Bundle


@dataclass(frozen=True)
class Care:
    """How an ingest treats what is stored already.

    Attributes
    ----------
    prune : bool
        Remove what is stored of pictures that are gone.
    force : bool
        Also if so much is gone that a disk may not be mounted.
    checksum : bool
        Read every file, also one whose size, times and inode are as stored, and check every stored point.
    """

    prune: bool = False
    force: bool = False
    checksum: bool = False


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
    care: Care = Care(),
    reports: Path | None = None,
    asked: bool = True,
    loop: Loop | None = None,
    progress: Progress = silent,
) -> Report:
    """Fill a collection from a source, or bring it in step with what has changed there.

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
    care : Care
        How to treat what is stored already.
    reports : Path, optional
        Folder for the file with a line for each picture that was skipped, moved and so on.
    asked : bool
        Somebody asked for this collection to be filled, so that it becomes the one that is used where none is named.
    loop : callable, optional
        What reads, encodes and stores; by default this process, see `cbir.ingest.shard.ingest_share`.
    progress : Progress
        Stages `read`, `train`, `export`, `compare`, `encode`, `smooth`, `index`.

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
    name = engine.spelled(name)
    with engine.writing(name), LogFile(reports) as log, Unreadable(reports) as unreadable:
        if not count and not engine.exists(name):
            raise SourceError(f"{source} holds no pictures")
        target = find_target(engine, name, source, retrain=retrain, add_source=add_source, smooth=smooth)
        ready = bundle_for(
            target, engine, models, plan, model=model, require_plan=require_plan, limit=limit, progress=progress
        )
        share = Share(target.source, 0, count, ready.bundle.path, care.checksum)
        with open_target(engine, target, _new_metadata(ready.bundle, target.smooth, asked)) as collection:
            collection.pause_indexing(entirely=index is False)
            sync = _Sync(collection, share, ready, care, log, unreadable, asked, loop, progress)
            sync.run()
            points = collection.count()
            if not points and not sync.settled.pruned:
                raise SourceError(nothing_to_read(source, count))
        # Afterwards, in place: whatever happens to the index, the points stay.
        index_seconds = build_index(engine, name, index, progress)
    stored, problems = sync.stored, list(islice(target.source.problems, MOST_NAMED))
    report = Report(
        collection=name,
        points=points,
        found=target.source.found,
        ingested=stored.ingested,
        unchanged=stored.unchanged,
        updated=stored.updated,
        conflicting=stored.conflicting,
        relabelled=stored.relabelled,
        unlabelled=stored.unlabelled,
        moved=stored.moved,
        copies=stored.copies,
        skipped=stored.skipped + sync.problems,
        left_out=list(target.source.left_out),
        choices={target.source.roots.get(name, name): chosen for name, chosen in target.source.choices.items()},
        gone=sync.settled.gone,
        unchosen=sync.settled.unchosen,
        pruned=sync.settled.pruned,
        warned=stored.warned,
        warnings=list(stored.warnings),
        unreadable=[*stored.unreadable, *problems][:MOST_NAMED],
        file=log.path,
        model=ready.bundle,
        trained=ready.trained,
        usual_for=ready.usual_for,
        seconds={
            "train": ready.bundle.metadata["seconds"] if ready.trained else 0.0,
            "compare": sync.compare_seconds,
            "encode": stored.encode_seconds,
            "upsert": stored.upsert_seconds,
            "index": index_seconds,
        },
    )
    if stored.coloured:
        warn_caller(
            f"{stored.coloured:,} of the {stored.ingested:,} new pictures are in colour, and '{name}' was made for "
            "grey ones: its encoder tells no red apple from a green one; rebuild it with --retrain --encoder photo, "
            "or name another --collection"
        )
    if report.found != report.accounted:
        warn_caller(
            f"{report.found:,} pictures were found, and {report.accounted:,} are accounted for: {source} changed while "
            "it was read, or this is a mistake of cbir's; please report it if the next ingest says it again"
        )
    return report


class _Sync:
    """The work on an open collection: compare, read, encode, store, settle, prune."""

    def __init__(
        self,
        collection: Collection,
        share: Share,
        ready: Ready,
        care: Care,
        log: Log,
        unreadable: Unreadable,
        asked: bool,
        loop: Loop | None,
        progress: Progress,
    ) -> None:
        self._collection = collection
        self._before = collection.metadata
        self._share = share
        self._ready = ready
        self._care = care
        self._log = log
        self._unreadable = unreadable
        self._asked = asked
        self._loop = loop
        self._progress = progress
        self.stored = Stored()
        self.settled = Settled()
        self.problems = 0
        self.compare_seconds = 0.0

    def run(self) -> None:
        """Do it; what was stored before an error stays, and is remembered."""
        collection, source = self._collection, self._share.source
        before = self._before
        clock = time.perf_counter()
        damage = collection.verify(self._progress) if self._care.checksum else collection.damage
        with Places.of(collection, self._progress, damage) as places:
            # Before anything is stored: a process that is killed must not leave points of an unknown source, nor points
            # of this format where an older cbir would look for its own.
            background = self._background(places)
            collection.remember(replace(_with_source(before, source, self._ready.bundle), background=background))
            try:
                self._fill(places, clock)
                self._tidy(places)
            except BaseException:
                # Report what stopped the work, not that a server could not be tidied up afterwards. The source stays:
                # a batch may be stored that was not counted.
                with suppress(CollectionError):
                    collection.remember(_finished(collection.metadata, self._background(places), self._asked))
                raise
            known = _finished(collection.metadata, self._background(places), self._asked)
        if self.stored.items == self.stored.skipped and not self.settled.pruned:  # nothing could be read
            known = replace(known, sources=before.sources, roots=before.roots, choices=before.choices)
        collection.remember(known)

    def _background(self, places: Places) -> Statistics | None:
        """Return how light the backgrounds of all stored images are.

        Points say so themselves, so that a process that is killed does not matter. Those of an older cbir do not: of
        them, it is known what was remembered.
        """
        if places.unlit:
            return merged(self._before.background, self.stored.background)
        return places.backgrounds()

    def _fill(self, places: Places, clock: float) -> None:
        share, made = self._share, self._ready.made
        work = ingest_share(
            share,
            self._collection,
            places,
            made=made,
            log=self._log,
            unreadable=self._unreadable,
            loop=self._loop,
            progress=self._progress,
        )
        with closing(work) as batches:
            for batch in batches:
                self.compare_seconds = self.compare_seconds or time.perf_counter() - clock
                self.stored += batch

    def _tidy(self, places: Places) -> None:
        """Take off what is no longer so, and log what is not a batch's."""
        source, log, care = self._share.source, self._log, self._care
        settled = settle(self._collection, places)
        self.stored = replace(
            self.stored, moved=self.stored.moved + settled.moved, copies=self.stored.copies - settled.moved
        )
        for name, uri, first_source, first_uri in places.copies_added():
            log("copy", source=name, uri=uri, first_source=first_source, first_uri=first_uri)
        gone = Gone(source, self._collection.metadata, complete=self._share.whole)
        self.settled = prune(self._collection, places, gone, source, log, wanted=care.prune, force=care.force)
        if gone.complete:
            in_part = {name for name, uri in source.unlisted if not uri}
            self._unreadable.forget_missing([path for name, path in source.roots.items() if name not in in_part])
        for uri, reason in source.problems:
            self.problems += 1
            log("skipped", uri=uri, reason=reason)
        for left in source.left_out:
            log("left out", reason=left.reason, count=left.count, examples=left.examples, hint=left.hint)


def _new_metadata(bundle: Bundle, smooth: int, asked: bool) -> Metadata:
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
        ingested=now if asked else "",
    )


def _with_source(metadata: Metadata, source: Source, bundle: Bundle) -> Metadata:
    """Return the metadata with a source and where it is; a folder of format 1 has its path for a name, and no root."""
    return replace(
        metadata,
        model=bundle.name,
        sources=tuple(dict.fromkeys((*metadata.sources, *source.names))),
        roots={**metadata.roots, **source.roots},
        choices={name: chosen for name, chosen in {**metadata.choices, **source.choices}.items() if chosen},
    )


def _finished(metadata: Metadata, background: Statistics | None, asked: bool) -> Metadata:
    """Return the metadata after an ingest, or after the part of it that was done."""
    now = _now()
    return replace(metadata, background=background, updated=now, ingested=now if asked else metadata.ingested)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
