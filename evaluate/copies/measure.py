"""How often edited copies of stored pictures find their originals.

In: a searcher and ways to edit. Out: a `CopiesRun`. No label is needed: a
picture's edited copy has one right answer. Each search is the user's own
(`Searcher.search_many`), exact. Pictures are opened, edited, encoded and
searched in blocks, so that memory does not grow with their number.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from cbir.collection.point import Hit, Payload
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched, ordered_map
from cbir.evaluate.copies.run import DEPTH, CopiesRun, Edit, Miss, Stored
from cbir.evaluate.labels import require_images
from cbir.evaluate.options import CopiesOptions
from cbir.evaluate.protocol import facts
from cbir.evaluate.run import RunError
from cbir.evaluate.twins import Point, Twins
from cbir.model.distortion import Distortion, workable
from cbir.model.edited import edited
from cbir.search.neighbours import CollectionNeighbours
from cbir.search.options import SearchOptions
from cbir.search.searcher import Searcher

#: Searches of a block, and bytes of their pixels.
_BLOCK, _BLOCK_BYTES = 256, 64_000_000


@dataclass(frozen=True)
class _Original:
    """A stored picture to edit."""

    id: str
    payload: Payload


@dataclass(frozen=True)
class _Found:
    """Where one search had its original, and the first hit if that is another picture."""

    place: int
    instead: Hit | None
    closeness: float


def measure_copies(
    searcher: Searcher,
    edits: Sequence[tuple[str, Distortion]],
    options: CopiesOptions | None = None,
    *,
    progress: Progress = silent,
) -> CopiesRun:
    """Edit random stored pictures in each way and search for the originals.

    Parameters
    ----------
    searcher : Searcher
    edits : sequence of (str, Distortion)
        Names for people, and ways to edit; at least one.
    options : CopiesOptions, optional
        Its seed draws the pictures, and with a picture's uri what is random in its edits.
    progress : Progress
        Stages `load`, `copies`.

    Returns
    -------
    CopiesRun

    Raises
    ------
    RunError
        Nothing stored, a single image, or not one of the drawn pictures can be opened.
    """
    options = options or CopiesOptions()
    total = require_images(searcher)
    if total < 2:
        raise RunError(f"collection '{searcher.name}' holds one image; finding it among no others says nothing")
    ways = [distortion for _, distortion in edits]
    originals = _drawn(searcher, total, options, progress)
    twins = Twins(searcher)
    pictures: list[Stored] = []
    places: list[list[int]] = []
    misses: list[Miss] = []
    unreadable: list[tuple[str, str]] = []
    for block in _blocks(searcher, originals, ways, options.seed, unreadable):
        for original, results in _searched(searcher, block, len(ways), options, twins):
            misses += [
                Miss(len(pictures), edit, Stored.of(found.instead.id, found.instead.payload), found.closeness)
                for edit, found in enumerate(results)
                if found.instead is not None
            ]
            pictures.append(Stored.of(original.id, original.payload))
            places.append([found.place for found in results])
        progress("copies", len(pictures) + len(unreadable), len(originals))
    if not pictures:
        reason = unreadable[0][1] if unreadable else "they were removed meanwhile"
        raise RunError(
            f"none of the pictures of collection '{searcher.name}' can be read (the first: {reason}). "
            "If the folder has moved, ingest it from its new place."
        )
    return CopiesRun(
        collection=searcher.name,
        database=total,
        edits=tuple(Edit(name, str(distortion)) for name, distortion in edits),
        pictures=tuple(pictures),
        places=np.array(places, np.int8),
        misses=tuple(misses),
        unreadable=tuple(unreadable),
        about=facts(searcher, options),
    )


def _drawn(searcher: Searcher, total: int, options: CopiesOptions, progress: Progress) -> list[_Original]:
    """Draw stored pictures without replacement; only those of the collection are kept in memory."""
    rows = np.random.default_rng(options.seed).permutation(total)[: options.queries]
    wanted = {int(row): place for place, row in enumerate(rows)}
    drawn: dict[int, _Original] = {}
    passed = 0
    for page in searcher.collection.scroll(vectors=False, fields=("uri", "source", "sha256")):
        for row, (point, payload) in enumerate(zip(page.ids, page.payloads, strict=True), passed):
            if row in wanted:
                drawn[wanted[row]] = _Original(point, payload)
        passed += len(page.ids)
        progress("load", passed, max(total, passed))
    return [drawn[place] for place in sorted(drawn)]


def _blocks(
    searcher: Searcher,
    originals: Sequence[_Original],
    ways: Sequence[Distortion],
    seed: int,
    unreadable: list[tuple[str, str]],
) -> Iterator[tuple[list[_Original], np.ndarray]]:
    """Yield originals and the features of their edited copies, (b, e, d); what cannot be opened is noted."""

    def seen(original: _Original) -> np.ndarray | CbirError:
        uri = str(original.payload.get("uri", ""))
        try:
            plain = workable(searcher.open_stored(original.payload))
            return np.stack([searcher.pixels(edited(plain, distort, seed, uri)) for distort in ways])
        except CbirError as error:
            return error

    encoder = searcher.bundle.encoder()  # the searcher's own runs on one thread: it has one query at a time
    shape = (len(ways), *searcher.bundle.preprocessing.shape)
    size = max(1, min(_BLOCK // len(ways), _BLOCK_BYTES // int(np.prod(shape))))
    with closing(ordered_map(seen, originals)) as pixels:
        for block in batched(zip(originals, pixels, strict=True), size):
            unreadable += [
                (str(original.payload.get("uri", "")), str(found))
                for original, found in block
                if isinstance(found, CbirError)
            ]
            readable = [(original, found) for original, found in block if not isinstance(found, CbirError)]
            if readable:
                features = encoder.encode(np.concatenate([found for _, found in readable]))
                yield [original for original, _ in readable], features.reshape(len(readable), len(ways), -1)


def _searched(
    searcher: Searcher,
    block: tuple[list[_Original], np.ndarray],
    edits: int,
    options: CopiesOptions,
    twins: Twins,
) -> Iterator[tuple[_Original, list[_Found]]]:
    """Search a block of edited copies, and yield each original with what its copies found."""
    originals, features = block
    wanted = SearchOptions(**options.ranking, k=DEPTH, exact=True)
    queries = features.reshape(len(originals) * edits, -1)
    found = searcher.search_many(list(queries), options=wanted)
    if not all(found):
        raise RunError(f"collection '{searcher.name}' was emptied meanwhile")
    owners = [original for original in originals for _ in range(edits)]
    ahead = [
        list(itertools.takewhile(lambda hit, own=own.id: hit.id != own, hits))  # type: ignore[misc]
        for own, hits in zip(owners, found, strict=True)
    ]
    needed = {original.id for original in originals} | {hit.id for hits in ahead for hit in hits}
    vectors = CollectionNeighbours(searcher.collection, ()).vectors(needed)
    results = []
    for own, feature, hits, before in zip(owners, queries, found, ahead, strict=True):
        target = Point(own.id, own.payload, vectors.get(own.id))
        same = (twins.same(target, Point(hit.id, hit.payload, vectors.get(hit.id))) for hit in before)
        place = next((rank for rank, twin in enumerate(same) if twin), len(before))
        if place == 0:
            results.append(_Found(0, None, 1.0))
        else:
            first = before[0]
            close = _closeness(feature, vectors.get(first.id), target.feature)
            results.append(_Found(place if place < len(hits) else -1, first, close))
    for number, original in enumerate(originals):
        yield original, results[number * edits : (number + 1) * edits]


def _closeness(feature: np.ndarray, first: np.ndarray | None, own: np.ndarray | None) -> float:
    """Return the distance to what came first, divided by the distance to the original."""
    if first is None or own is None:
        return 1.0
    far = float(np.linalg.norm(feature - own))
    return float(np.linalg.norm(feature - first)) / far if far else 1.0
