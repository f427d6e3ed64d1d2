"""Diffusion on the graph of nearest neighbours, as features: who can be reached from whom.

In: features. Out: an embedding whose nearness is nearness along the graph, so
that two ends of a chain of look-alikes come out close, however far apart they
lie. A group that falls into islands is joined where the graph has bridges; how
many groups there are is not asked for.

A. Iscen, Y. Avrithis, G. Tolias, T. Furon, O. Chum, *Fast Spectral Ranking for
Similarity Search*, CVPR 2018: diffusion (I - aW)^-1 in the
leading eigenvectors of W. Edges are weighted by shared neighbours (R. Jarvis,
E. Patrick, 1973), rows normalised (A. Ng, M. Jordan, Y. Weiss, 2001).
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Share of a random walk that goes on at each step: 0.999 is a thousand steps.
REACH = 0.999
#: Weight of an edge between neighbours that share none: the graph falls apart into fewer pieces.
_FAINT = 1e-3


def neighbours_of(count: int) -> int:
    """Choose how many neighbours each of so many points has in the graph: 3 to 15, a third of the root.

    As many neighbours among few points would link all with all.
    """
    return max(3, min(15, round(count**0.5 / 3)))


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
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(k, len(features) - 1), algorithm="brute").fit(features)
    return np.asarray(index.kneighbors(return_distance=False))


def diffusion(neighbours: np.ndarray, values: int, *, reach: float = REACH, seed: int = 0) -> np.ndarray:
    """Embed a graph of neighbours.

    Parameters
    ----------
    neighbours : ndarray of int, shape (n, k)
        From `nearest`.
    values : int
        Of the embedding; fewer points than that leave zeros.
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

    graph = _shared(neighbours)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scaled = diags(degree**-0.5)
    transition = scaled @ graph @ scaled
    count = min(values, len(neighbours))
    if count > len(neighbours) // 2:
        eigenvalues, vectors = np.linalg.eigh(transition.toarray())
    else:
        start = np.random.default_rng(seed).uniform(0.5, 1, len(neighbours))
        # To full precision: a graph in pieces has equal eigenvalues, of which fewer digits miss some.
        eigenvalues, vectors = eigsh(transition, k=count, which="LA", v0=start)
    leading = np.argsort(-eigenvalues)[:count]
    weights = (1 - reach) / (1 - reach * np.minimum(eigenvalues[leading], 1))
    embedded = np.zeros((len(neighbours), values), np.float32)
    embedded[:, :count] = vectors[:, leading] * weights
    return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)


def aligned(embedding: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Turn an embedding, as a whole, as near as it gets to features of the same points.

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


def _shared(neighbours: np.ndarray) -> "csr_array":
    """Link neighbours, either way, weighted by the share of neighbours that they have in common."""
    from scipy.sparse import csr_array

    count, k = neighbours.shape
    rows = np.repeat(np.arange(count), k)
    links = csr_array((np.ones(count * k), (rows, neighbours.ravel())), shape=(count, count))
    either = links.maximum(links.T)
    return either.multiply(links @ links.T) / k + _FAINT * either
