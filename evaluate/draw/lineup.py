"""The picture of a comparison: the same queries, and what each encoder finds first.

In: stored runs of several encoders. Out: a sheet; a column a query, a row an
encoder, in each cell its nine closest hits, those of another label framed.
Nine and not one: good encoders differ in how soon they go wrong, not in the first hit.
"""

from collections.abc import Mapping

from PIL import Image

from cbir.core.errors import CbirError
from cbir.evaluate.protocol import Query
from cbir.evaluate.run import Run
from cbir.search.sheet import Cell, Heading, sheet, tiles

_QUERIES = 10
_ACROSS = 3


def lineup(runs: Mapping[str, Run], shown: Mapping[str, Query]) -> Image.Image:
    """Draw a row for each encoder.

    Parameters
    ----------
    runs : mapping of str to Run
        By the encoder's name, of the same queries; at least one.
    shown : mapping of str to Query
        Queries by uri and stored images by id; what is missing leaves an empty frame.

    Returns
    -------
    PIL.Image.Image
    """
    uris = [str(uri) for uri in next(iter(runs.values())).query_uris[:_QUERIES]]
    rows = [[Cell(_picture(shown.get(uri)), _label(shown.get(uri)), marked=True) for uri in uris]]
    headings = [Heading("query")]
    for name, run in runs.items():
        places = {str(uri): row for row, uri in enumerate(run.query_uris)}
        found = [_hits(run, places[uri], shown) if uri in places else [] for uri in uris]
        right = sum(not wrong for hits in found for _, wrong in hits)
        headings.append(Heading(name, f"{right} of {sum(map(len, found))} right"))
        rows.append([Cell(tiles(hits, _ACROSS)) for hits in found])
    return sheet(rows, headings)


def _hits(run: Run, query: int, shown: Mapping[str, Query]) -> list[tuple[Image.Image | None, bool]]:
    """Return the closest images, each with whether its label is another than the query's."""
    relevant = run.bits(query, query + 1)[0][0]
    ids = run.exact_ids[query, : _ACROSS**2]
    return [(_picture(shown.get(str(hit))), not right) for hit, right in zip(ids, relevant[: len(ids)], strict=True)]


def _picture(item: Query | None) -> Image.Image | None:
    try:
        return None if item is None else item.open()
    except CbirError:
        return None


def _label(item: Query | None) -> str:
    return "" if item is None or item.label is None else str(item.label)
