"""The picture of a search: each query, framed, beside its hits.

In: queries, their hits, and a way to open them. Out: a sheet with
label and distance under each hit.
"""

from collections.abc import Callable, Sequence

from PIL import Image

from cbir.collection.point import Hit
from cbir.core.errors import CbirError
from cbir.search.sheet import Cell, sheet


def strip(
    queries: Sequence[tuple[str, Image.Image]],
    hits: Sequence[Sequence[Hit]],
    open_hit: Callable[[Hit], Image.Image],
) -> tuple[Image.Image, str]:
    """Draw a row for each query.

    Parameters
    ----------
    queries : sequence of (name, PIL.Image.Image)
    hits : sequence of sequences of Hit
    open_hit : callable
        Opens a hit's picture; one that cannot be opened leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
    str
        Why the first hit that is not shown could not be opened; empty if all are.
    """
    reasons: list[str] = []

    def cell(hit: Hit) -> Cell:
        picture = None
        try:
            picture = open_hit(hit)
        except CbirError as error:
            reasons.append(str(error))
        return Cell(picture, "" if hit.label is None else str(hit.label), f"{hit.distance:.2f}")

    rows = [
        [Cell(picture, "query", name, marked=True), *map(cell, found)]
        for (name, picture), found in zip(queries, hits, strict=True)
    ]
    return sheet(rows), next(iter(reasons), "")
