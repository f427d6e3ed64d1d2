"""The picture of a search: each query, framed, beside its hits.

In: queries, their hits, and a way to open a stored uri. Out: a sheet with
label and distance under each hit.
"""

from collections.abc import Callable, Sequence

from PIL import Image

from cbir.errors import CbirError
from collection.interface import Hit
from search.sheet import Cell, sheet


def strip(
    queries: Sequence[tuple[str, Image.Image]],
    hits: Sequence[Sequence[Hit]],
    open_picture: Callable[[str], Image.Image],
) -> Image.Image:
    """Draw a row for each query.

    Parameters
    ----------
    queries : sequence of (name, PIL.Image.Image)
    hits : sequence of sequences of Hit
    open_picture : callable
        Opens a hit's uri; one that cannot be opened leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
    """
    return sheet(
        [
            [Cell(picture, "query", name, marked=True), *(_cell(hit, open_picture) for hit in found)]
            for (name, picture), found in zip(queries, hits, strict=True)
        ]
    )


def _cell(hit: Hit, open_picture: Callable[[str], Image.Image]) -> Cell:
    try:
        picture = open_picture(hit.uri)
    except CbirError:
        picture = None
    label = "" if hit.label is None else str(hit.label)
    return Cell(picture, label, f"{hit.distance:.3g}")
