"""Short binary codes as integers, which are stored in payloads and looked up by a filter.

In: the bits of features. Out: a number for each; and for one number the Hamming
ball of all numbers that differ from it in few bits (R. Salakhutdinov and G. Hinton, Semantic
Hashing, International Journal of Approximate Reasoning 50, 2009).
"""

import itertools
import math

import numpy as np

from cbir.model.errors import ModelError

#: A ball of more codes than this is refused: 28 bits within 3 are 3,683.
LARGEST_BALL = 4_000


def codes(features: np.ndarray, bits: int) -> list[int]:
    """Read the leading bits of (n, d) features, each 0.0 or 1.0, as integers; the first bit is the highest."""
    values = (features[:, :bits] > 0.5) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
    return [int(value) for value in values]


def ball(code: int, bits: int, radius: int) -> list[int]:
    """Return the codes that differ from a code in at most `radius` bits, itself first.

    Parameters
    ----------
    code : int
        From `codes`.
    bits : int
        Its length.
    radius : int

    Raises
    ------
    ModelError
        A radius below 0, or a ball too large to look up.
    """
    radii = itertools.accumulate(math.comb(bits, differing) for differing in range(bits + 1))
    most = sum(size <= LARGEST_BALL for size in radii) - 1
    if not 0 <= radius <= most:
        raise ModelError(f"codes of {bits} bits can be looked up within 0 to {most} bits, not {radius}")
    return [
        code ^ sum(1 << bit for bit in differing)
        for count in range(radius + 1)
        for differing in itertools.combinations(range(bits), count)
    ]
