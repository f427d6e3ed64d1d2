"""What a pretrained network's head learns from a source's own pictures, without labels.

In: the network's features of the pictures, and of edited copies of some. Out: a
`Head`, and why it is this one. There are three: the plain projection; one in which
the directions are weakened that differ among neighbours; and one that also knows which pictures
are linked by chains of neighbours: part of its feature is a picture's place in the
diffusion's embedding (`cbir.model.diffusion`). Each makes like pictures closer than the one
before, and is taken if edited copies of pictures that it has not seen, as those are that are
added later, find their originals as well.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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

#: With fewer pictures than this, neighbours say little; with fewer than that, how they are linked does, and costs more
#: than encoding them.
LEAST, LINKED = 300, 1000
#: Share of a feature's values that are the place in the embedding: 8 of 256, but at least 4 of them. With more, two
#: copies of a picture that is no anchor lie farther apart.
_PLACE_VALUES, _FEWEST = 1 / 32, 4
#: Most neighbours of a picture in the graph, and the probability that diffusion goes on to one of theirs. Longer walks
#: join what is not alike: with 0.99 CIFAR's mAP falls from 0.44 to 0.42.
_NEIGHBOURS, _REACH = 25, 0.9
#: A picture's place is a mean over those like it: an anchor's weight falls by e with every 0.07 of cosine. A third of a
#: squared distance is between places. With 50 and half, the mAP of CIFAR's small copy is higher by 0.02, but copies of
#: pictures that are added later find their originals in 0.5 of the cases, not 0.65 (plainly 0.63).
_SHARPNESS, _SHARE = 14.0, 0.35
#: Of the work, for a progress bar: projection, neighbours, embedding, decision.
_STEPS = 4
#: Share of the edited copies that may be lost to adaptation: one of 200 is chance.
_MAY_LOSE = 0.005
#: Difference of two cosines that is no more than rounding.
_SAME = 1e-6


@dataclass(frozen=True)
class Decision:
    """Which head was taken, and why.

    Attributes
    ----------
    chosen : str
        `plain`, `neighbours` or `places`.
    found : Mapping
        Of each head that was tried: the share of edited copies whose original came first.
    text : str
        One line.
    """

    chosen: str
    found: Mapping[str, float]
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
        `on` takes the one with places without measuring, `off` projects plainly, `auto` decides.
    seed : int
    progress : Progress
        Stage `adapt`.

    Returns
    -------
    Head, Decision
    """
    count = len(raw)
    progress("adapt", 0, _STEPS)
    least = 2 if adapt == "on" else LEAST
    if adapt == "off" or count < least:
        why = "adapt=off" if adapt == "off" else f"there are {count}, and fewer than {least} say little"
        plain = projection(raw, general, values=values)
        progress("adapt", _STEPS, _STEPS)
        return plain, Decision("plain", {}, f"not adapted to your pictures: {why}")
    if adapt == "on":
        *_, head = _heads(raw, general, values, seed, progress)
        progress("adapt", _STEPS, _STEPS)
        return head, Decision("places", {}, f"adapted to {count:,} pictures, how they are linked included: adapt=on")
    rows, copies = edited()
    # Not learned from, so that they show what becomes of pictures that are added later. Nor afterwards: it would be
    # another head than the one that was measured.
    others = np.delete(raw, rows, axis=0)
    names = _NAMES if count >= LINKED else _NAMES[:2]
    heads = dict(zip(names, _heads(others, general, values, seed, progress), strict=False))
    found = {name: originals_first(head, raw, rows, copies) for name, head in heads.items()}
    enough = max(found["plain"], found["neighbours"]) - _MAY_LOSE
    chosen = [name for name in names if found[name] >= enough][-1]
    progress("adapt", _STEPS, _STEPS)
    return heads[chosen], Decision(chosen, found, _told(chosen, found, len(others), copies.shape[0] * copies.shape[1]))


#: The three heads, each of which makes like pictures closer than the one before.
_NAMES = ("plain", "neighbours", "places")


def _told(chosen: str, found: Mapping[str, float], pictures: int, copies: int) -> str:
    what = {
        "plain": "not adapted to your pictures",
        "neighbours": f"adapted to the neighbours among {pictures:,} pictures",
        "places": f"adapted to {pictures:,} pictures and how they are linked",
    }[chosen]
    rejected = list(found)[list(found).index(chosen) + 1 :]
    others = "".join(f", {found[name]:.1%} with {'links' if name == 'places' else name}" for name in rejected)
    copied = f"of {copies:,} edited copies {found[chosen]:.1%} find their original first"
    if chosen == "plain":
        return f"{what}: {copied}{others}"
    return f"{what}, so that like ones come closer; {copied}, {found['plain']:.1%} if not adapted{others}"


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


def _heads(raw: np.ndarray, general: np.ndarray | None, values: int, seed: int, progress: Progress) -> Iterator[Head]:
    """Learn the heads, one after the other."""
    plain = projection(raw, general, values=values)
    yield plain
    near = among_neighbours(plain, raw, values=plain.values)
    progress("adapt", 1, _STEPS)
    yield near
    place_values = max(_FEWEST, round(plain.values * _PLACE_VALUES))
    shorter = Head(near.mean, np.ascontiguousarray(near.directions[:, : plain.values - place_values]))
    projected = shorter.apply(raw)
    neighbours = nearest(projected, neighbours_of(len(raw), _NEIGHBOURS))
    progress("adapt", 2, _STEPS)
    places = diffusion(neighbours, place_values, reach=_REACH, seed=seed)
    progress("adapt", 3, _STEPS)
    known = Places(projected.astype(np.float16), places.astype(np.float16), _SHARPNESS, _SHARE)
    yield Head(shorter.mean, shorter.directions, known)
