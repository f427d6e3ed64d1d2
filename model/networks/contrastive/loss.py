"""The losses of the contrastive encoder, and the model that computes them while it is trained.

In: the network and its head. Out: a Keras model that shares their weights, from
two stacks of views to the loss.
"""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cbir.model.networks.backend import keras

if TYPE_CHECKING:
    from keras import Model

#: Temperature of InfoNCE: the smaller, the more the hardest negatives count.
_TEMPERATURE = 0.2
#: Pictures of each batch that the decoder restores.
RESTORED = 64
#: Slices of a batch, computed side by side where there are cores; batch normalisation is by slice.
_SLICES = 4


def contrastive_twin(network: "Model", head: "Model", targets: Mapping[str, float]) -> "Model":
    """Build the model that is trained.

    Parameters
    ----------
    network, head : keras.Model
        From `contrastive_network`.
    targets : Mapping of str to float
        Layers that learn an embedding (`likeness`, `place`), and the weight of each beside InfoNCE.

    Returns
    -------
    keras.Model
        Takes (2n, h, w, c), the first views above the second ones. Its targets are
        `clean` (the first `RESTORED` views without noise) and an embedding (2n, d) for each of `targets`.
    """
    k, ops = keras(), keras().ops
    feature, trunk, pooled = (network.get_layer(name).output for name in ("encoder", "trunk", "pooled"))
    parts = [network.get_layer(name).output for name in targets]
    tower = k.Model(network.input, [head(pooled), feature, trunk, *parts])
    decoder = k.Model([feature, trunk], network.output)
    losses = {"likeness": similarity_loss, "place": place_loss}

    class Twin(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tower, self.decoder = tower, decoder

        def call(self, images: Any, training: bool = True) -> list[Any]:
            size = ops.shape(images)[0]
            edges = [size * i // _SLICES for i in range(_SLICES + 1)]
            slices = [self.tower(images[a:b], training=training) for a, b in itertools.pairwise(edges)]
            projected, feature, trunk, *parts = (ops.concatenate(outputs) for outputs in zip(*slices, strict=True))
            return [projected, self.decoder([feature[:RESTORED], trunk[:RESTORED]]), *parts]

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            projected, restored, *parts = y_pred
            loss = info_nce(projected) + ops.mean(k.losses.binary_crossentropy(y["clean"], restored))
            for (name, weight), features in zip(targets.items(), parts, strict=True):
                loss += weight * losses[name](features, y[name])
            return loss

    return Twin()


def info_nce(features: Any) -> Any:
    """Return the loss of two stacks of n features of norm 1, (2n, d): how well each finds its counterpart among n."""
    ops = keras().ops
    first, second = ops.split(features, 2)
    scores = first @ ops.transpose(second) / _TEMPERATURE
    rows = ops.arange(ops.shape(scores)[0])
    losses = keras().losses.sparse_categorical_crossentropy
    both = [losses(rows, direction, from_logits=True) for direction in (scores, ops.transpose(scores))]
    return (ops.mean(both[0]) + ops.mean(both[1])) / 2


def similarity_loss(features: Any, target: Any) -> Any:
    """Return the mean squared difference of the cosines among features and among a target embedding.

    Rows of zeros of the target do not count.
    """
    ops = keras().ops
    counts = ops.sum(ops.square(target), axis=1, keepdims=True)
    difference = features @ ops.transpose(features) - target @ ops.transpose(target)
    return ops.mean(ops.square(difference) * (counts @ ops.transpose(counts)))


def place_loss(features: Any, target: Any) -> Any:
    """Return the mean of 1 - cosine between features and a target embedding; rows of zeros do not count."""
    ops = keras().ops
    return ops.mean(ops.sum(ops.square(target), axis=1) - ops.sum(features * target, axis=1))
