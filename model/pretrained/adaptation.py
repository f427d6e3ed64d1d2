"""What a pretrained network's head learns from a source's own pictures, without labels.

In: the network's features of the pictures, and of edited copies of some. Out: a
`Head`, and why it is this one. Beside the plain projection there is one that has
learned which pictures are linked: in its directions neighbours differ little
(`among_neighbours`), and part of its feature is a picture's place in an
embedding of the graph of neighbours (`cbir.model.diffusion`). It is taken unless
fewer edited copies find their original.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.diffusion import diffusion, nearest, neighbours_of
from cbir.model.pretrained.head import Head, Places
from cbir.model.pretrained.projection import among_neighbours, projection

Adapt = Literal["auto", "on", "off"]
#: All of these, as an option's choices.
MODES: tuple[Adapt, ...] = get_args(Adapt)
#: Rows of the source's pictures that were edited, (m,), and the network's features of the copies, (edits, m, d).
Edited = tuple[np.ndarray, np.ndarray]

#: With fewer pictures than this, those that are added later are not like those that were learned from, and are told
#: apart less well: learned from 400 photographs, 98% of the copies of others found their original, 99% plainly.
LEAST = 1000
#: Share of a feature's values that are the place in the embedding: 8 of 256, but at least 4 of them. With more, two
#: copies of a picture that is no anchor lie farther apart.
_PLACE_VALUES, _FEWEST = 1 / 32, 4
#: Most neighbours of a picture in the graph, and the probability that diffusion goes on to one of theirs. Longer walks
#: join what is not alike: with 0.99 the mAP of CIFAR's small copy falls from 0.44 to 0.42.
_NEIGHBOURS, _REACH = 25, 0.9
#: A picture's place is decided by its very nearest: an anchor's weight falls by e with every 0.02 of cosine.
_SHARPNESS = 50.0
#: A fifth of a squared distance is between places. With half, mAP rises further (0.43, 0.47), but pictures that are
#: no anchors are told apart less well.
_SHARE = 0.2
#: Of the work, for a progress bar: projection, neighbours, embedding, decision.
_STEPS = 4
#: Share of the edited copies that may be lost to adaptation: one of 200 is chance.
_MAY_LOSE = 0.005
#: Difference of two cosines that is no more than rounding.
_SAME = 1e-6


@dataclass(frozen=True)
class Decision:
    """Whether the head is adapted to the source's pictures, and why.

    Attributes
    ----------
    adapted : bool
    pictures : int
        Learned from.
    plain, learned : float or None
        Share of edited copies whose original came first, without and with adaptation, if it was measured.
    text : str
        One line.
    """

    adapted: bool
    pictures: int
    plain: float | None
    learned: float | None
    text: str


def adapted(
    raw: np.ndarray,
    edited: Callable[[], Edited],
    *,
    general: np.ndarray | None = None,
    values: int = 256,
    adapt: Adapt = "auto",
    whole: bool = True,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Head, Decision]:
    """Learn a head.

    Parameters
    ----------
    raw : ndarray of float32, shape (n, d)
        The network's features of the source's pictures; 10,000 suffice.
    edited : callable
        Makes and encodes edited copies of some of the pictures; called only to decide.
    general : ndarray of float32, shape (c, d), optional
        See `projection`.
    values : int
        In a feature, at most.
    adapt : str
        `on` adapts without measuring, `off` projects plainly, `auto` decides.
    whole : bool
        Whether `raw` is of all pictures that will be stored. If it is a sample, those that are edited
        are hidden from what is measured: most pictures will be no anchors.
    seed : int
    progress : Progress

    Returns
    -------
    Head, Decision
    """
    count = len(raw)
    progress("adapt", 0, _STEPS)
    plain = projection(raw, general, values=values)
    least = 2 if adapt == "on" else LEAST
    if adapt == "off" or count < least:
        why = "adapt=off" if adapt == "off" else f"{count} pictures are too few to learn from, {least} needed"
        return plain, Decision(False, count, None, None, f"projected plainly: {why}")
    learned = _linked(plain, raw, seed, progress)
    if adapt == "on":
        return learned, Decision(True, count, None, None, f"adapted to {count} pictures: adapt=on")
    rows, copies = edited()
    measured = learned if whole else _without(learned, rows)
    before, after = (originals_first(head, raw, rows, copies) for head in (plain, measured))
    shares = f"of {copies.shape[0] * copies.shape[1]} edited copies {after:.1%} find their original first, "
    if after < before - _MAY_LOSE:
        return plain, Decision(False, count, before, after, f"projected plainly: {shares}adapted, {before:.1%} plainly")
    return learned, Decision(True, count, before, after, f"adapted to {count} pictures: {shares}{before:.1%} plainly")


def originals_first(head: Head, raw: np.ndarray, rows: np.ndarray, copies: np.ndarray) -> float:
    """Return the share of edited copies to which no other picture of the source is nearer than the original.

    Parameters
    ----------
    head : Head
    raw : ndarray of float32, shape (n, d)
    rows : ndarray of int, shape (m,)
        The originals' rows in `raw`.
    copies : ndarray of float32, shape (edits, m, d)
    """
    stored = head.apply(raw)
    found = []
    for edit in copies:
        similar = head.apply(edit) @ stored.T
        # Of pictures that are stored twice either will do.
        found.append(similar.max(axis=1) - similar[np.arange(len(rows)), rows] <= _SAME)
    return float(np.mean(found))


def _linked(plain: Head, raw: np.ndarray, seed: int, progress: Progress) -> Head:
    """Learn which pictures are linked."""
    place_values = max(_FEWEST, round(plain.values * _PLACE_VALUES))
    near = among_neighbours(plain, raw, values=plain.values - place_values)
    progress("adapt", 1, _STEPS)
    projected = near.apply(raw)
    neighbours = nearest(projected, neighbours_of(len(raw), _NEIGHBOURS))
    progress("adapt", 2, _STEPS)
    places = diffusion(neighbours, place_values, reach=_REACH, seed=seed)
    progress("adapt", 3, _STEPS)
    known = Places(projected.astype(np.float16), places.astype(np.float16), _SHARPNESS, _SHARE)
    return Head(near.mean, near.directions, known)


def _without(head: Head, rows: np.ndarray) -> Head:
    """Return a head without some of its anchors."""
    if head.places is None:
        return head
    known = replace(
        head.places,
        anchors=np.delete(head.places.anchors, rows, axis=0),
        places=np.delete(head.places.places, rows, axis=0),
    )
    return replace(head, places=known)
