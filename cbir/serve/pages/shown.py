"""What a page shows of a picture: a found one, or an example.

In: a hit of an answer, or an example as the address has it. Out: what the templates use.
"""

from __future__ import annotations

import json
import os.path
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cbir.core.words import size
from cbir.ingest.added import SOURCE as ADDED
from cbir.serve.adding import ORIGINAL_NAME
from cbir.serve.pages import static

if TYPE_CHECKING:
    from cbir.serve.pages.asked import Asked
    from cbir.serve.schemas import HitAnswer

#: Sides of thumbnails, the longer ones, between which a browser chooses.
_SIDES = (160, 320, 640)


@dataclass(frozen=True)
class Shown:
    """A picture among others.

    Attributes
    ----------
    id, name : str
        Of its point; of its file, or what stands for it.
    label, distance : str
        Empty where there is none.
    width, height : int or None
        Of the picture, where that is known.
    small, smalls, large : str
        Addresses: of a thumbnail; of thumbnails with their widths, for a browser to
        choose from, empty where one will do; of the picture.
    more, like, unlike : str
        Query strings: what is like it; and this search with it as one more example, or without it if it is one.
    liked, unliked : bool
        Whether it is an example.
    payload : str
        JSON of all that is known of it.
    """

    id: str
    name: str
    label: str
    distance: str
    width: int | None
    height: int | None
    small: str
    smalls: str
    large: str
    more: str
    like: str
    unlike: str
    liked: bool
    unliked: bool
    payload: str


@dataclass(frozen=True)
class Example:
    """What is searched for.

    Attributes
    ----------
    text : str
        As the address has it.
    words : str
        Where it is words; else empty.
    picture : str
        The address of its picture; empty where it is words.
    """

    text: str
    words: str
    picture: str


def shown(collection: str, hit: HitAnswer, asked: Asked, *, near: bool = True) -> Shown:
    """Return what the page shows of a hit; `near`: whether it has a distance."""
    own = f"id:{hit.id}"
    kept = {"where": asked.where}
    sides = [
        long if isinstance(long := hit.payload.get(side), int) and long > 0 else None for side in ("width", "height")
    ]
    place = _place(collection, hit.id)
    # What a dataset's picture shows never changes; a file's has another hash then.
    version = f"v={str(hit.payload.get('sha256') or '0')[:16]}"
    across = min(1.0, (sides[0] or 1) / (sides[1] or 1))
    most = max(sides[0] or 0, sides[1] or 0)

    # Nothing is asked for that cannot be there.
    unkept = static.address("unkept.svg") if hit.payload.get("source") == ADDED and not hit.copies else ""

    def thumbnail(side: int) -> str:
        return f"/thumbnails/{place}?size={side}&{version}"

    smalls = ", ".join(f"{thumbnail(side)} {max(1, round(side * across))}w" for side in _SIDES if side < 2 * most)
    return Shown(
        id=hit.id,
        name=_name(hit),
        label="" if hit.label is None else str(hit.label),
        distance=_distance(hit.distance) if near else "",
        width=sides[0],
        height=sides[1],
        small=unkept or thumbnail(320),
        smalls=smalls if most > _SIDES[0] and not unkept else "",
        large=unkept or f"/images/{place}?{version}",
        more=asked.query(q=own, box="", like=(), unlike=(), **kept),
        like=asked.query(like=_toggled(asked.like, own), unlike=_without(asked.unlike, own)),
        unlike=asked.query(unlike=_toggled(asked.unlike, own), like=_without(asked.like, own)),
        liked=own in asked.examples,
        unliked=own in asked.unlike,
        payload=json.dumps(_payload(hit), ensure_ascii=False),
    )


def example(collection: str, text: str) -> Example | None:
    """Return what the page shows of an example; None of nothing."""
    kind, _, value = text.partition(":")
    if not value:
        return None
    if kind == "text":
        return Example(text, value, "")
    if kind == "id":
        return Example(text, "", f"/thumbnails/{_place(collection, value)}?size=640")
    return Example(text, "", f"/uploads/{quote(value, safe='')}")


def _name(hit: HitAnswer) -> str:
    """Return the name of a picture's file; of one that was added by HTTP, what it was called before."""
    name = str(hit.payload.get("name") or hit.uri.rpartition("/")[2] or hit.uri)
    sha256 = hit.payload.get("sha256")
    if sha256 and os.path.splitext(name.removeprefix(f"{ADDED}:"))[0] == sha256:  # noqa: PTH122 - a name of any letters
        return str(hit.payload.get(ORIGINAL_NAME) or "added picture")
    return name


def _place(collection: str, point: str) -> str:
    return f"{quote(collection, safe='')}/{quote(point, safe='')}"


def _payload(hit: HitAnswer) -> dict[str, Any]:
    known = {"uri": hit.uri, "path": hit.path, "copies": hit.copies, "gone": hit.gone, "fields": hit.payload}
    count = hit.payload.get("bytes")
    return {**known, "size": size(count)} if isinstance(count, int) else known


def _distance(distance: float) -> str:
    return f"{distance:.3f}" if distance < 10 else f"{distance:.1f}"


def _toggled(some: tuple[str, ...], one: str) -> tuple[str, ...]:
    return _without(some, one) if one in some else (*some, one)


def _without(some: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(each for each in some if each != one)
