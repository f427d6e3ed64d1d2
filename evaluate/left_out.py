"""What is left out of a query's ranking where stored images are the queries: the image itself, and copies of it.

In: stored features, and which rows ask. Out: the rows that each query leaves out. Any encoder finds a second copy of
a picture first, under another name or in another lossless format, and that says nothing of the encoder. (The same
file twice is one point.) What is near a query by its feature is opened, and the decoded pixels decide.
"""

from collections.abc import Sequence

import numpy as np

from cbir.evaluate.features import Features
from cbir.evaluate.ranking import near
from cbir.evaluate.twins import CLOSE, stored_digests
from cbir.search.searcher import Searcher


def left_out(searcher: Searcher, ids: np.ndarray, features: Features, own_rows: np.ndarray) -> list[np.ndarray]:
    """Return, for each stored image that is a query, its own row and those of its copies, ascending.

    Parameters
    ----------
    searcher : Searcher
    ids : ndarray of uint8, shape (n, 16)
        Of all stored points.
    features : Features, shape (n, d)
    own_rows : ndarray of int, shape (m,)
        The queries'.
    """
    groups = near(features[own_rows], features, CLOSE)
    doubtful = sorted({int(row) for group in groups if len(group) > 1 for row in group})
    content = np.arange(len(ids))  # the first row of the same picture, as far as is known
    content[doubtful] = _same(searcher, ids, doubtful)
    return [group[content[group] == content[own]] for group, own in zip(groups, own_rows, strict=True)]


def _same(searcher: Searcher, ids: np.ndarray, rows: Sequence[int]) -> list[int]:
    """Return the first of these rows that shows the same picture as each; itself, if it cannot be opened."""
    first: dict[bytes, int] = {}
    digests = stored_digests(searcher, ids[list(rows)])
    return [row if digest is None else first.setdefault(digest, row) for row, digest in zip(rows, digests, strict=True)]
