"""What is left out of a query's ranking where stored images are the queries: the image itself, and copies of it.

In: stored features, and which rows ask. Out: the rows that each query leaves out. Any encoder finds a second copy of
a picture first, under another name or in another lossless format, and that says nothing of the encoder. (The same
file twice is one point.) What is near a query by its feature is opened, and the decoded pixels decide.
"""

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
    doubtful = np.zeros(len(ids), bool)
    for numbers, rows in near(features[own_rows], features, CLOSE):
        others = rows != own_rows[numbers]
        doubtful[rows[others]] = doubtful[own_rows[numbers[others]]] = True
    same = _same(searcher, ids, np.flatnonzero(doubtful))
    return [same.get(int(own), np.array([own])) for own in own_rows]


def _same(searcher: Searcher, ids: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Return for each of some rows those of them that show the same picture; what cannot be opened is like none."""
    by_digest: dict[bytes, list[int]] = {}
    for row, digest in zip(rows.tolist(), stored_digests(searcher, ids[rows]), strict=True):
        if digest is not None:
            by_digest.setdefault(digest, []).append(row)
    # Copies share one array, however many they are.
    return {row: same for group in by_digest.values() for same in (np.array(group),) for row in group}
