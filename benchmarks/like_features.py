"""Vectors in any number that are spread as the features of real pictures are: in clusters, on few dimensions.

A point is a draw around one of some hundred centres, in as many latent dimensions as real features have, which a random
network of one hidden layer bends into all dimensions; a little noise goes into each. How many latent dimensions, and
how tight the clusters, was chosen so that the intrinsic dimension, measured alike, is near that of real features:

==================================  ======  ========  ========
features                            points  measured  of these
==================================  ======  ========  ========
MNIST, `autoencoder`, 128 values    500     6.8       7.0
MNIST, `autoencoder`, 128 values    10,000  8.6       8.2
MNIST, `autoencoder`, 128 values    60,000  9.5       10.3
photographs, `photo`, 256 values    499     16.8      17.6
==================================  ======  ========  ========
"""

from collections.abc import Iterator

import numpy as np

#: Latent dimensions, centres, and the spread of a cluster as a share of that of the centres; by dimension.
SHAPES = {128: (14, 200, 0.55), 256: (60, 300, 1.0)}
HIDDEN = 256
NOISE = 0.02
BLOCK = 20_000


def like_features(points: int, dimension: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield blocks of vectors, (n, dimension) float32, of length 1 each; queries come from another seed.

    The centres and the network are the same for all seeds of a dimension.
    """
    latent, centres, spread = SHAPES[dimension]
    fixed = np.random.default_rng(dimension)
    middles = fixed.normal(size=(centres, latent)).astype(np.float32)
    into = (fixed.normal(size=(latent, HIDDEN)) / np.sqrt(latent)).astype(np.float32)
    out = (fixed.normal(size=(HIDDEN, dimension)) / np.sqrt(HIDDEN)).astype(np.float32)
    shares = 1 / np.arange(1, centres + 1) ** 0.5  # some clusters are large
    draw = np.random.default_rng([dimension, seed])
    for start in range(0, points, BLOCK):
        size = min(BLOCK, points - start)
        cluster = draw.choice(centres, size, p=shares / shares.sum())
        place = middles[cluster] + spread * draw.standard_normal((size, latent), np.float32)
        vectors = np.tanh(place @ into) @ out + NOISE * draw.standard_normal((size, dimension), np.float32)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def intrinsic_dimension(vectors: np.ndarray, neighbours: int = 20, asked: int = 2_000) -> float:
    """Return how many dimensions the vectors, (n, d), fill near a point.

    The maximum likelihood estimate of Levina and Bickel (2004), averaged over some points as MacKay and Ghahramani
    (2005) do: the inverse of the mean of log(T_k / T_j) over a point's neighbours at distances T_1 to T_k.
    """
    draw = np.random.default_rng(0)
    rows = draw.choice(len(vectors), min(asked, len(vectors)), replace=False)
    lengths = (vectors.astype(np.float64) ** 2).sum(1)
    logs = []
    for part in np.array_split(rows, max(1, len(rows) // 200)):
        squares = lengths[part, None] + lengths - 2.0 * (vectors[part] @ vectors.T)
        squares[np.arange(len(part)), part] = np.inf
        nearest = np.sort(np.partition(squares, neighbours, axis=1)[:, :neighbours], axis=1)
        nearest = nearest[nearest[:, 0] > 1e-10]  # copies say nothing
        logs.append(0.5 * np.log(nearest[:, -1:] / nearest[:, :-1]))
    return float(1 / np.concatenate(logs).mean())
