"""What a pretrained network's head learns from a source's own pictures, without labels.

In: the network's features of the pictures, and of edited copies of some. Out: a
`Head`, and why it is this one. Beside the plain projection there is one that
knows which pictures are linked by chains of neighbours: part of its feature is a
picture's place in the diffusion's embedding (`cbir.model.diffusion`). It is
taken only if edited copies are found as well as with the plain one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.diffusion import diffusion, nearest
from cbir.model.pretrained.head import Head, Places
from cbir.model.pretrained.projection import projection

Adapt = Literal["auto", "on", "off"]
#: All of these, as an option's choices.
MODES: tuple[Adapt, ...] = get_args(Adapt)
#: Rows of the source's pictures that were edited, (m,), and the network's features of the copies, (edits, m, d).
Edited = tuple[np.ndarray, np.ndarray]

#: With fewer pictures than this, chains of neighbours say little.
LEAST = 300
#: Values of a feature that are the place in the embedding.
_PLACE_VALUES = 32
#: Neighbours of a picture, and the probability that diffusion goes on to one of theirs.
_NEIGHBOURS, _REACH = 20, 0.9
_SHARPNESS, _SHARE = 33.0, 0.7


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
    seed : int
    progress : Progress

    Returns
    -------
    Head, Decision
    """
    count = len(raw)
    progress("adapt", 0, None)
    plain = projection(raw, general, values=values)
    if adapt == "off" or count < LEAST:
        why = "adapt=off" if adapt == "off" else f"{count} pictures are too few to learn from, {LEAST} needed"
        return plain, Decision(False, count, None, None, f"projected plainly: {why}")
    learned = _with_places(plain, raw, seed)
    if adapt == "on":
        return learned, Decision(True, count, None, None, f"adapted to {count} pictures: adapt=on")
    rows, copies = edited()
    before, after = (originals_first(head, raw, rows, copies) for head in (plain, learned))
    shares = f"of {copies.shape[0] * copies.shape[1]} edited copies {after:.1%} find their original first, "
    if after < before:
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


#: Difference of two cosines that is no more than rounding.
_SAME = 1e-6


def _with_places(plain: Head, raw: np.ndarray, seed: int) -> Head:
    directions = plain.directions[:, : plain.values - _PLACE_VALUES]
    shorter = Head(plain.mean, np.ascontiguousarray(directions))
    projected = shorter.apply(raw)
    places = diffusion(nearest(projected, _NEIGHBOURS), _PLACE_VALUES, reach=_REACH, seed=seed)
    anchors = projected.astype(np.float16)
    return Head(shorter.mean, shorter.directions, Places(anchors, places.astype(np.float16), _SHARPNESS, _SHARE))
