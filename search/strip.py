"""The picture of a search: each query, framed, beside its hits.

In: queries, their hits, and a way to open them. Out: a sheet with label, name
and distance under each hit; many hits go on in the next row.
"""

from collections.abc import Callable, Sequence

from PIL import Image

from cbir.collection.point import Hit
from cbir.core.errors import CbirError
from cbir.core.uris import path_of
from cbir.core.words import counted
from cbir.core.workers import batched
from cbir.search.sheet import Cell, sheet

#: Hits in a row, and rows in the picture: wider or higher ones are hard to look at, and no JPEG.
_ACROSS, _ROWS = 10, 100


def strip(
    queries: Sequence[tuple[str, Image.Image]],
    hits: Sequence[Sequence[Hit]],
    open_hit: Callable[[Hit], Image.Image],
) -> tuple[Image.Image, str]:
    """Draw a row for each query, or several.

    Parameters
    ----------
    queries : sequence of (name, PIL.Image.Image)
    hits : sequence of sequences of Hit
    open_hit : callable
        Opens a hit's picture; one that cannot be opened leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
        At most 100 rows of ten hits.
    str
        Why the first hit that is not shown could not be opened, or how many there is no room for; empty if all are
        shown.
    """
    reasons: list[str] = []

    def cell(hit: Hit) -> Cell:
        picture = None
        try:
            picture = open_hit(hit)
        except CbirError as error:
            reasons.append(str(error))
        return Cell(picture, "" if hit.label is None else str(hit.label), f"{hit.distance:.2f}", path_of(hit.uri))

    drawn: list[list[Cell | None]] = []
    most = max(1, _ROWS // len(queries))
    for (name, picture), found in list(zip(queries, hits, strict=True))[:_ROWS]:
        first: Cell | None = Cell(picture, "query", name=name, marked=True)
        for part in list(batched(found, _ACROSS))[:most] or [[]]:
            drawn.append([first, *map(cell, part)])
            first = None
    left_out = sum(map(len, hits)) - sum(len(row) - 1 for row in drawn)
    if left_out:
        reasons.insert(0, f"there is no room for {counted(left_out, 'hit')}")
    return sheet(drawn), next(iter(reasons), "")
