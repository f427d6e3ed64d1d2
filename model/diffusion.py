"""Diffusion on the graph of nearest neighbours, as an embedding.

In: features. Out: an embedding in which distance follows the graph, so that the
two ends of a chain of similar pictures come out close, however far apart their
features are. Clusters are joined where the graph links them; the number of
clusters need not be known.

A. Iscen, Y. Avrithis, G. Tolias, T. Furon, O. Chum, *Fast Spectral Ranking for
Similarity Search*, CVPR 2018: diffusion (I - aW)^-1 in the
leading eigenvectors of W. Edges are weighted by shared neighbours (R. Jarvis,
E. Patrick, 1973), rows normalised (A. Ng, M. Jordan, Y. Weiss, 2001).
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Probability that a random walk continues at each step: 0.999 is a thousand steps on average.
REACH = 0.999
#: Weight of an edge between neighbours that share no neighbour: with it the graph has fewer components.
_WEAK_EDGE = 1e-3
#: Similarities held at a time (10 MB), and rows whose neighbours' neighbours are compared with their own (16 MB).
_SIMILARITIES, _ROWS = 2_500_000, 1000


def neighbours_of(count: int, most: int = 15) -> int:
    """Choose how many neighbours each of `count` points has in the graph: a third of the root, from 3 to `most`.

    15 neighbours among few points would link all of them with each other.
    """
    return max(3, min(most, round(count**0.5 / 3)))


def nearest(features: np.ndarray, k: int) -> np.ndarray:
    """Find the k nearest other rows of each row, exactly.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    k : int

    Returns
    -------
    ndarray of int64, shape (n, min(k, n - 1))
        Closest first.
    """
    count = len(features)
    k = min(k, count - 1)
    found = np.empty((count, k), np.int64)
    halves = np.square(features).sum(axis=1) / 2
    size = max(1, _SIMILARITIES // max(1, count))
    for start in range(0, count, size):
        block = features[start : start + size]
        similar = block @ features.T - halves
        rows = np.arange(len(block))
        similar[rows, start + rows] = -np.inf
        closest = np.argpartition(similar, -k, axis=1)[:, count - k :]
        order = np.argsort(-np.take_along_axis(similar, closest, axis=1), axis=1, kind="stable")
        found[start : start + size] = np.take_along_axis(closest, order, axis=1)
    return found


def diffusion(neighbours: np.ndarray, values: int, *, reach: float = REACH, seed: int = 0) -> np.ndarray:
    """Embed a graph of neighbours.

    Parameters
    ----------
    neighbours : ndarray of int, shape (n, k)
        From `nearest`.
    values : int
        In a row of the embedding; if there are fewer points than that, the rest are zeros.
    reach : float
        Between 0 and 1; the nearer to 1, the longer the chains.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n, values)
        Rows of norm 1.
    """
    from scipy.sparse import diags
    from scipy.sparse.linalg import eigsh
    from threadpoolctl import threadpool_limits

    graph = _graph_of(neighbours)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scaled = diags(degree**-0.5)
    transition = scaled @ graph @ scaled
    count = min(values, len(neighbours))
    if count > len(neighbours) // 2:
        eigenvalues, vectors = np.linalg.eigh(transition.toarray())
    else:
        start = np.random.default_rng(seed).uniform(0.5, 1, len(neighbours))
        # To full precision: a graph of several components has equal eigenvalues, and less precision misses some.
        # On one thread: products this small gain nothing by more, and where other programs run, threads wait for each
        # other: 31 s instead of 4 for 10,000 points on two busy cores.
        with threadpool_limits(1, "blas"):
            eigenvalues, vectors = eigsh(transition, k=count, which="LA", v0=start)
    leading = np.argsort(-eigenvalues)[:count]
    weights = (1 - reach) / (1 - reach * np.minimum(eigenvalues[leading], 1))
    embedded = np.zeros((len(neighbours), values), np.float32)
    embedded[:, :count] = vectors[:, leading] * weights
    return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)


def aligned(embedding: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Rotate an embedding as close as possible to features of the same points.

    P. Schönemann, *A generalized solution of the orthogonal Procrustes problem*, 1966.

    Parameters
    ----------
    embedding, features : ndarray of float32, each (n, d)

    Returns
    -------
    ndarray of float32, shape (n, d)
        Distances among the rows are those of the embedding.
    """
    from scipy.linalg import orthogonal_procrustes

    turn, _ = orthogonal_procrustes(embedding, features)
    return np.asarray(embedding @ turn, dtype=np.float32)


def _graph_of(neighbours: np.ndarray) -> "csr_array":
    """Build the symmetric graph of neighbours, weighted by the share of neighbours that two have in common."""
    from scipy.sparse import csr_array

    count, k = neighbours.shape
    # Of linked pictures only: among 10,000 that are alike, all pairs would have common neighbours, which are gigabytes.
    shared = np.empty((count, k))
    for start in range(0, count, _ROWS):
        own = neighbours[start : start + _ROWS]
        theirs = neighbours[own]  # (rows, k, k)
        shared[start : start + _ROWS] = (theirs[..., None] == own[:, None, None, :]).sum(axis=(2, 3))
    rows = np.repeat(np.arange(count), k)
    weights = shared.ravel() / k + _WEAK_EDGE
    links = csr_array((weights, (rows, neighbours.ravel())), shape=(count, count))
    return links.maximum(links.T)
