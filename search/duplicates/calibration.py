"""How close an edited copy is to its original in this collection: the distance up to which pictures are compared.

In: a searcher and the ids of its points. Out: a `Threshold`. No encoder's distances
are like another's, so they are measured: some stored pictures are edited as people
edit them, and the copies searched for; random pairs of pictures say how far apart
strangers are. No labels are needed, and no number is fixed but the errors.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from cbir.collection.filter import Where
from cbir.collection.point import Payload, ids_of
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched, ordered_map
from cbir.model.distortion import COPIES, workable
from cbir.model.edited import edited
from cbir.search.duplicates.options import DuplicatesOptions
from cbir.search.searcher import Searcher

#: Share of edited copies that are to be closer than the threshold; and of random pairs that may be, as each of them is
#: compared in vain.
REACHED, STRANGERS = 0.98, 0.001
#: Points whose distances from each other are those of random pairs: a million.
_DRAWN = 1000
#: Pictures that are edited and encoded at once.
_BLOCK = 16


@dataclass(frozen=True)
class Threshold:
    """Up to which distance pictures are compared.

    Attributes
    ----------
    distance : float
        Euclidean, between features.
    reached : float or None
        Share of edited copies whose original is among the nearest and no farther; None if not measured.
    strangers : float or None
        Share of random pairs of stored pictures that are no farther; None if not measured.
    pictures : int
        Pictures that were edited, each in all of `cbir.model.distortion.COPIES`; 0 if the distance was given.
    edits : tuple of (str, float)
        Share reached of each edit.
    """

    distance: float
    reached: float | None = None
    strangers: float | None = None
    pictures: int = 0
    edits: tuple[tuple[str, float], ...] = ()


def calibrate(
    searcher: Searcher,
    ids: np.ndarray,
    options: DuplicatesOptions,
    *,
    where: Where | None = None,
    progress: Progress = silent,
) -> Threshold:
    """Measure the distances of edited copies and of strangers.

    Parameters
    ----------
    searcher : Searcher
    ids : ndarray of uint8, shape (n, 16)
        The points among which duplicates are looked for; at least two.
    options : DuplicatesOptions
    where : Where, optional
        The filter that `ids` pass.
    progress : Progress
        Stage `calibrate`.

    Raises
    ------
    CbirError
        Not one of the drawn pictures can be opened.
    """
    if options.max_distance is not None:
        return Threshold(options.max_distance)
    drawn = drawn_from(ids, options.seed)
    strangers = strangers_apart(searcher, drawn, len(ids), options.nearest)
    copies, among_nearest = copies_apart(searcher, drawn, options, where=where, progress=progress)
    distance = float(np.quantile(copies, REACHED))
    if len(strangers):
        # Never 0, so that rounding does not part what is the same.
        distance = max(min(distance, float(np.quantile(strangers, STRANGERS))), float(np.quantile(copies, 0.05)))
    reached = among_nearest & (copies <= distance)
    return Threshold(
        distance=distance,
        reached=float(reached.mean()),
        strangers=float((strangers <= distance).mean()) if len(strangers) else None,
        pictures=len(copies),
        edits=tuple((name, float(share)) for (name, _), share in zip(COPIES, reached.mean(axis=0), strict=True)),
    )


def drawn_from(ids: np.ndarray, seed: int) -> list[str]:
    """Return some of (n, 16) points at random: those whose distances are measured, the first of which are edited."""
    generator = np.random.default_rng(seed)
    return ids_of(ids[generator.permutation(len(ids))[:_DRAWN]])


def copies_apart(
    searcher: Searcher,
    drawn: Sequence[str],
    options: DuplicatesOptions,
    *,
    where: Where | None = None,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """Edit pictures, and measure how far the copies are from them.

    Parameters
    ----------
    searcher : Searcher
    drawn : sequence of str
        Points; the first `options.pictures` of them are edited.
    options : DuplicatesOptions
    where : Where, optional
        The filter that the points pass among which the nearest are looked for.
    progress : Progress
        Stage `calibrate`.

    Returns
    -------
    distances : ndarray of float64, shape (m, e)
        Of m pictures that can be read, in all e of `cbir.model.distortion.COPIES`.
    among : ndarray of bool, shape (m, e)
        Whether the original is among the nearest of the copy.

    Raises
    ------
    CbirError
        Not one of the pictures can be opened.
    """
    far, near = [], []
    failed: list[CbirError] = []
    wanted = drawn[: options.pictures]
    for block in batched(wanted, _BLOCK):
        for distances, among in _copies(searcher, block, options, where, failed):
            far.append(distances)
            near.append(among)
        progress("calibrate", len(far) + len(failed), len(wanted))
    if not far:
        raise CbirError(
            f"none of {len(wanted):,} pictures of collection '{searcher.name}' can be read (the first: {failed[0]}). "
            "If the folder has moved, ingest it from its new place."
        )
    return np.array(far), np.array(near)


def strangers_apart(searcher: Searcher, ids: Sequence[str], total: int, nearest: int) -> np.ndarray:
    """Return the distances between stored points, (p,) float32, but for the nearest of each.

    Those may be copies: in a small collection a random pair often is one, and nothing but a stranger is asked for.
    """
    stored = searcher.collection.vectors(list(ids))
    vectors = np.array(list(stored.values()), np.float32)
    left_out = math.ceil(nearest * len(vectors) / total) if total else 0
    if len(vectors) < left_out + 3:
        return np.empty(0, np.float32)
    squares = np.square(vectors).sum(axis=1)
    squared = np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)
    np.fill_diagonal(squared, 0)
    return np.sqrt(np.partition(squared, left_out, axis=1)[:, left_out + 1 :]).ravel()


def _copies(
    searcher: Searcher,
    ids: Sequence[str],
    options: DuplicatesOptions,
    where: Where | None,
    failed: list[CbirError],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each picture its copies' distances from it, and whether it is among their nearest, (e,) each."""

    def seen(payload: Payload) -> np.ndarray | CbirError:
        try:
            plain = workable(searcher.open_stored(payload))
            uri = str(payload.get("uri", ""))
            return np.stack([searcher.pixels(edited(plain, way, options.seed, uri)) for _, way in COPIES])
        except CbirError as error:
            return error

    collection = searcher.collection
    payloads, stored = collection.payloads(list(ids)), collection.vectors(list(ids))
    present = [each for each in ids if each in payloads and each in stored]
    with closing(ordered_map(seen, [payloads[each] for each in present])) as pictures:
        made = [(own, pixels) for own, pixels in zip(present, pictures, strict=True)]
    failed += [pixels for _, pixels in made if isinstance(pixels, CbirError)]
    readable = [(own, pixels) for own, pixels in made if not isinstance(pixels, CbirError)]
    if not readable:
        return []
    features = searcher.encoder.encode(np.concatenate([pixels for _, pixels in readable]))
    # One more: a copy's original and its own copies are all near.
    found = collection.search_batch(features, options.nearest + 1, where=where, payloads=False)
    results = []
    for place, (own, _) in enumerate(readable):
        rows = slice(place * len(COPIES), (place + 1) * len(COPIES))
        distances = np.linalg.norm(features[rows] - stored[own], axis=1)
        # As far as the farthest that was found: stored pictures that are the same are in its place.
        among = [
            any(hit.id == own for hit in hits) or far <= hits[-1].distance
            for hits, far in zip(found[rows], distances, strict=True)
        ]
        results.append((distances, np.array(among)))
    return results
