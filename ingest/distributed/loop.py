"""Reads, encodes and stores on many machines: what takes the place of `cbir.ingest.shard.here`.

In: the work that is left after the comparison. Out: what was done, a part at a time. The driver lists the items and
packs them into parcels, Ray Data hands these to readers and what they read to those who store, and the driver notes in
its table what comes back, and deals with all that is no new content: `settle` and `prune` then see the same table as
after an ingest in one process. Vectors never come to the driver.
"""

import pickle
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

import numpy as np

from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection
from cbir.collection.served.points import ServedCollection
from cbir.core.errors import CbirError
from cbir.core.workers import batched
from cbir.ingest.described import id_of
from cbir.ingest.distributed.cluster import Machines, Room, connected
from cbir.ingest.distributed.parcel import COLUMN, EMPTY, Done, Parcel, Trouble, unpacked
from cbir.ingest.distributed.repeated import Repeated
from cbir.ingest.distributed.waiting import watched
from cbir.ingest.distributed.workers import Reader, Storer, Task, model_files
from cbir.ingest.encode import Encoded
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.read import BATCH, Batch, Fresh, Known
from cbir.ingest.shard import Work
from cbir.ingest.sources.source import Item
from cbir.ingest.store import Stored, claims_before, counted, note_stored, store
from cbir.ingest.sync import Status
from cbir.model.bundle import read_bundle

#: Parcels for each reader at the least, where there are enough items: they end at about the same time.
_PARCELS_EACH, _LEAST = 8, 16
#: Ray keeps account of each block: there are not many more, however many items.
_BLOCKS = 4096


class OnRay:
    """A loop on a cluster; to be used in a `with` block, which connects to it.

    Parameters
    ----------
    machines : Machines
    """

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._leaving = ExitStack()
        self._room = Room(1, 1, 1.0)

    def __enter__(self) -> Self:
        self._room = self._leaving.enter_context(connected(self._machines))
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    def __call__(self, work: Work) -> Generator[Stored, None, None]:
        """Do the work; yield what was done.

        Raises
        ------
        CollectionError
            The collection averages its features, for which one process has to see them all.
        CbirError
            A machine cannot do its part; what was stored before stays.
        """
        if work.collection.metadata.smooth:
            raise CollectionError(f"collection '{work.collection.name}' has --smooth, which --on ray cannot do")
        done = 0
        for stored in self._parts(work):
            yield stored[0]
            done += stored[1]
            work.progress("encode", done, work.total)
        work.progress("encode", work.total, work.total)

    def _parts(self, work: Work) -> Generator[tuple[Stored, int], None, None]:
        """Yield what was done, and how many items came back for it."""
        gone = work.gone()
        described = (item for _, item, status in work.items() if status is Status.DESCRIBED)
        if Status.DESCRIBED in work.statuses:
            for batch in batched(described, BATCH):
                encoded = _nothing(replace(EMPTY, described=batch))
                yield store(encoded, work.collection, work.places, gone, work.log, work.unreadable), len(batch)
        if Status.READ not in work.statuses:
            return
        # Indexing is held back by the first upsert: the workers' own must not be it, as they do not know what it was.
        work.collection.upsert([], np.empty((0, work.collection.metadata.dimension), np.float32), [])
        with Repeated(work) as repeated:
            clock = time.perf_counter()
            for done in self._done(work):
                if isinstance(done, Trouble):
                    raise CbirError(done.message)
                seconds = time.perf_counter() - clock
                stored = _noted(done, work, gone, repeated)
                yield replace(stored, encode_seconds=seconds, upsert_seconds=done.upsert_seconds), len(done.encoded)
                clock = time.perf_counter()
            yield from ((stored, 0) for stored in repeated.settled())

    def _done(self, work: Work) -> Iterator[Done | Trouble]:
        """Yield what the workers have done."""
        import ray
        from ray.data import ActorPoolStrategy, DataContext
        from ray.exceptions import RayError

        room = self._room
        DataContext.get_current().enable_progress_bars = False
        task = ray.put(self._task(work))
        blocks = [ray.put(block) for block in self._blocks(work, room)]
        gpus = self._machines.gpus_per_worker

        def pool(size: int) -> Any:
            # Those without work end when others have no room, as after the loss of a machine.
            return ActorPoolStrategy(min_size=1, max_size=size, initial_size=size)

        shared = {"fn_constructor_args": (task,), "batch_size": 1, "num_cpus": room.cores}
        read = ray.data.from_arrow_refs(blocks).map_batches(Reader, compute=pool(room.readers), **shared)
        stored = read.map_batches(Storer, compute=pool(room.storers), num_gpus=gpus or None, **shared)
        try:
            tables = stored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
            for table in watched(tables, _asking(work.collection)):
                yield from unpacked({COLUMN: table.column(COLUMN).to_pylist()})
        except RayError as error:
            # What a worker died of stands last, below its stack.
            cause = str(error).strip().splitlines()[-1][:300]
            raise CbirError(
                f"Ray could not go on: {cause}. Nothing stored is lost: run the same command again to continue"
            ) from error

    def _task(self, work: Work) -> Task:
        bundle = read_bundle(work.share.model)
        return Task(
            collection=work.collection,
            preprocessing=bundle.preprocessing,
            roots=tuple(work.share.source.roots.values()),
            model=model_files(bundle),
            made=work.made,
            damaged=work.places.damaged,
            illegible=work.places.illegible,
            threads=0 if self._machines.gpus_per_worker else 1,
        )

    def _blocks(self, work: Work, room: Room) -> Iterator[Any]:
        """Yield tables of parcels of what has to be read."""
        import pyarrow

        total = work.statuses.count(Status.READ)
        size = max(_LEAST, min(BATCH, total // (_PARCELS_EACH * room.readers)))
        gone = work.gone()
        parcels = (_parcel(batch, work.places, gone) for batch in batched(_to_read(work), size))
        for rows in batched(parcels, 1 + total // size // _BLOCKS):
            column = pyarrow.array([pickle.dumps(parcel) for parcel in rows], pyarrow.large_binary())
            yield pyarrow.table({COLUMN: column})


def _asking(collection: Collection) -> Callable[[], object]:
    """Return what asks the server of a collection whether it answers."""
    return collection.ask_once if isinstance(collection, ServedCollection) else collection.count


def _nothing(batch: Batch) -> Encoded:
    """Return a batch of which nothing had to be encoded."""
    return Encoded(batch, np.empty((0, 0), np.float32), np.empty(0, np.float32))


def _to_read(work: Work) -> Iterator[tuple[int, Item]]:
    return ((number, item) for number, item, status in work.items() if status is Status.READ)


def _parcel(numbered: list[tuple[int, Item]], places: Places, gone: Gone) -> Parcel:
    """Return items to read, with the payloads of what was stored at their places."""
    glances = places.glances([place for _, item in numbered for place in gone.places_of(item)])
    # A query for each item only where something is stored at all.
    claimed = numbered if any(glances) else []
    claims = {item.place: claims_before(Fresh(item, "", {}), places, gone) for _, item in claimed}
    first = {place: next((c for c in found if c.first), None) for place, found in claims.items()}
    payloads = places.payloads(claim for claim in first.values() if claim is not None)
    before = {place: payloads[c.id] for place, c in first.items() if c is not None and c.id in payloads}
    return Parcel({item.place: number for number, item in numbered}, before, [item for _, item in numbered])


def _noted(done: Done, work: Work, gone: Gone, repeated: Repeated) -> Stored:
    """Note what a worker has done; what is no new content waits until all are stored."""
    encoded, places = done.encoded, work.places
    new: list[int] = []
    for row, fresh in enumerate(encoded.batch.fresh):
        number = done.numbers[fresh.item.place]
        content = None if fresh.sha256 is None else places.content(fresh.sha256)
        if content is None or content.problem is not None:
            new.append(row)
            repeated.note_stored(number, fresh.sha256)
            if fresh.sha256 is not None and content is None:
                places.expect(fresh.id, fresh.sha256)
        else:
            repeated.add(number, Known(fresh.item, str(fresh.sha256), fresh.details), raced=True)
    for known in encoded.batch.known:
        repeated.add(done.numbers[known.item.place], known)
    for failed in encoded.batch.failed:
        if failed.sha256 is not None and places.content(failed.sha256) is None:
            places.expect(id_of(failed.item, failed.sha256), failed.sha256)
    fresh_rows = [encoded.batch.fresh[row] for row in new]
    kept = replace(encoded, batch=replace(encoded.batch, fresh=fresh_rows), brightness=encoded.brightness[new])
    stored = counted(kept, places, work.log, work.unreadable)
    displaced = [claims_before(fresh, places, gone) for fresh in fresh_rows]
    return stored + note_stored(kept, places, displaced, places.replaced(kept.ids), work.log)
