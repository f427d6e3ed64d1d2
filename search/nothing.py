"""Why a search found nothing: sentences for the person who asked.

In: the queries and options of a search without hits. Out: what kept everything
from being a hit, and what the next try may be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cbir.collection.filter import AllOf, Among, Exists, Filter, conditions_of
from cbir.collection.unmatched import unmatched
from cbir.core.uris import shown
from cbir.search.options import SearchOptions
from cbir.search.query import Query
from cbir.search.searcher import Searcher


def why_nothing(searcher: Searcher, queries: Sequence[Query], options: SearchOptions) -> Iterator[str]:
    """Yield why a search of some queries found nothing."""
    collection, name = searcher.collection, shown(searcher.name)
    wanted = options.filters(collection)
    if not collection.count():
        yield f"collection '{name}' is empty"
        return
    if wanted is not None and not collection.count(where=wanted):
        yield from _why_none_pass(searcher, wanted, options)
        return
    if options.prune is not None:
        passing = "" if wanted is None else " that passes the filter"
        yield f"no image{passing} in '{name}' is within {options.prune} bits"
        return
    if options.max_distance is not None:
        nearer = searcher.search_many(queries, 1, options=replace(options, max_distance=None, sort=None))
        distances = [hit.distance for hits in nearer for hit in hits]
        if distances:
            yield (
                f"no image in '{name}' is within {options.max_distance:g}; "
                f"the nearest one is at a distance of {min(distances):.4g}"
            )


def _why_none_pass(searcher: Searcher, wanted: Filter, options: SearchOptions) -> Iterator[str]:
    name, collection = shown(searcher.name), searcher.collection
    absent = [field for field in sorted(wanted.fields) if not collection.count(where=Exists(field))]
    if absent:
        yield f"no image in '{name}' has the field {' or '.join(map(shown, absent))}"
    parts = wanted.filters if isinstance(wanted, AllOf) else ()
    hints = list(unmatched(wanted, collection))
    if not absent and (parts or not hints):
        yield f"no image in '{name}' passes the filter"
    yield from hints
    counts = [collection.count(where=part) for part in parts]
    if len(parts) > 1 and all(counts):
        yield "each condition alone is true of " + ", ".join(f"{count:,}" for count in counts) + " images"
    allowed = [each.values for each in conditions_of(wanted) if isinstance(each, Among)]
    if options.where and any(len([value for value in values if isinstance(value, str)]) > 1 for values in allowed):
        yield "a comma separates values: a text with a comma is put in double quotes, as in 'label=\"tench, fish\"'"
