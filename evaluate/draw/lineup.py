"""The picture of a comparison: the same queries, and what each encoder finds first.

In: stored runs of several encoders. Out: a sheet; a column for each query, a
row for each encoder, in each cell its nine closest hits, those of another label
framed. Nine and not one: good encoders differ in how soon they go wrong, not in
the first hit. Each picture is opened once, and kept at the size of a cell.
"""

from collections.abc import Mapping
from functools import cache

from PIL import Image

from cbir.core.errors import CbirError
from cbir.evaluate.protocol import QueryImage
from cbir.evaluate.run import Run
from cbir.model.modes import eight_bit
from cbir.search.sheet import CELL, Cell, Heading, sheet, tiles

_QUERIES = 10
_ACROSS = 3


def lineup(runs: Mapping[str, Run], shown: Mapping[str, QueryImage]) -> Image.Image:
    """Draw a row for each encoder.

    Parameters
    ----------
    runs : mapping of str to Run
        By the encoder's name, of the same queries; at least one.
    shown : mapping of str to QueryImage
        Queries by uri and stored images by id; what is missing leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
    """
    uris = [str(uri) for uri in next(iter(runs.values())).query_uris[:_QUERIES]]
    small = cache(lambda key: _small(shown.get(key)))
    rows = [[Cell(small(uri), _label(shown.get(uri)), marked=True) for uri in uris]]
    headings = [Heading("query")]
    for name, run in runs.items():
        places = {str(uri): row for row, uri in enumerate(run.query_uris)}
        found = [_hits(run, places[uri]) if uri in places else [] for uri in uris]
        right = sum(not wrong for hits in found for _, wrong in hits)
        headings.append(Heading(name, f"{right} of {sum(map(len, found))} right"))
        rows.append([Cell(tiles([(small(hit), wrong) for hit, wrong in hits], _ACROSS)) for hits in found])
    return sheet(rows, headings)


def drawn(run: Run, first: Run) -> tuple[set[str], set[str]]:
    """Return what is drawn of a run, where another one is drawn first: uris of queries, and ids of their hits."""
    uris = {str(uri) for uri in first.query_uris[:_QUERIES]}
    rows = [row for row, uri in enumerate(run.query_uris) if str(uri) in uris]
    return uris, {str(hit) for hit in run.exact_ids[rows, : _ACROSS**2].ravel()} - {""}


def _hits(run: Run, query: int) -> list[tuple[str, bool]]:
    """Return the ids of the closest images, each with whether its label is another than the query's."""
    relevant = run.bits(query, query + 1)[0][0]
    ids = run.exact_ids[query, : _ACROSS**2]
    return [(str(hit), not right) for hit, right in zip(ids, relevant[: len(ids)], strict=True) if hit]


def _small(item: QueryImage | None) -> Image.Image | None:
    """Open a picture and make it no larger than a cell; None if it cannot be opened."""
    try:
        picture = None if item is None else eight_bit(item.open())
    except CbirError:
        return None
    if picture is not None and max(picture.size) > CELL:
        picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return picture


def _label(item: QueryImage | None) -> str:
    return "" if item is None or item.label is None else str(item.label)
