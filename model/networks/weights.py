"""Initial weights of a network's layers, decided by a seed.

In: a seed. Out: an initializer for each layer in turn. Keras's global seed is
left alone.
"""

from collections.abc import Iterator
from typing import Any

from cbir.model.networks.backend import keras

#: Most layers of a network: seeds are spaced by it, so that networks of two seeds share no layer's weights.
_MAX_LAYERS = 100


def seeded(seed: int, kind: str = "GlorotUniform") -> Iterator[Any]:
    """Yield initializers of that kind: the same for the same seed, and another for each layer."""
    for number in range(seed * _MAX_LAYERS, (seed + 1) * _MAX_LAYERS):
        yield getattr(keras().initializers, kind)(seed=number)
