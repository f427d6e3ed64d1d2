"""Whether a collection's pictures are large enough to be edited as people edit photographs.

In: a searcher. Out: yes or no, by some of its pictures. A quarter of 28 pixels
is 7, and nobody has a screenshot of a digit: where labels say how good a
collection of such pictures is, edited copies say nothing more.
"""

from itertools import islice
from statistics import median

from cbir.core.errors import CbirError
from cbir.search.searcher import Searcher

#: Pixels of the shorter side.
MIN_SIDE = 64
#: Pictures looked at: the first in the order of ids, which are hashes.
_SAMPLE = 21


def are_small(searcher: Searcher) -> bool:
    """Tell whether most pictures are smaller than `MIN_SIDE`; not if none can be opened."""
    pages = searcher.collection.scroll(vectors=False, fields=("uri", "source"), page=_SAMPLE)
    sides = []
    for payload in islice((payload for page in pages for payload in page.payloads), _SAMPLE):
        try:
            sides.append(min(searcher.open_stored(payload).size))
        except CbirError:
            continue
    return bool(sides) and median(sides) < MIN_SIDE
