"""What the contrastive encoder is trained by: its losses, and the twin that computes them.

In: the network and its head. Out: a Keras model that shares their weights, from
two stacks of views to the loss.
"""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cbir.model.networks.backend import keras

if TYPE_CHECKING:
    from keras import Model

#: Softness of InfoNCE: the smaller, the more the hardest others count.
_TEMPERATURE = 0.2
#: Pictures of each batch that the decoder restores.
RESTORED = 64
#: Slices that a batch is worked on in, side by side where there are cores; each is normalised by itself.
_SLICES = 4


def contrastive_twin(network: "Model", head: "Model", lessons: Mapping[str, float]) -> "Model":
    """Build what is trained.

    Parameters
    ----------
    network, head : keras.Model
        From `contrastive_network`.
    lessons : Mapping of str to float
        Layers that are taught an embedding (`likeness`, `place`), and what each counts for beside InfoNCE.

    Returns
    -------
    keras.Model
        Takes (2n, h, w, c), first views above second views; is to be given, beside
        `clean` (the first `RESTORED` views without noise), an embedding (2n, d) for each lesson.
    """
    k, ops = keras(), keras().ops
    feature, trunk, seen = (network.get_layer(name).output for name in ("encoder", "trunk", "seen"))
    taught = [network.get_layer(name).output for name in lessons]
    tower = k.Model(network.input, [head(seen), feature, trunk, *taught])
    decoder = k.Model([feature, trunk], network.output)
    losses = {"likeness": unlike, "place": misplaced}

    class Twin(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tower, self.decoder = tower, decoder

        def call(self, images: Any, training: bool = True) -> list[Any]:
            size = ops.shape(images)[0]
            edges = [size * i // _SLICES for i in range(_SLICES + 1)]
            slices = [self.tower(images[a:b], training=training) for a, b in itertools.pairwise(edges)]
            same, feature, drawn, *taught = (ops.concatenate(parts) for parts in zip(*slices, strict=True))
            return [same, self.decoder([feature[:RESTORED], drawn[:RESTORED]]), *taught]

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            same, restored, *taught = y_pred
            loss = info_nce(same) + ops.mean(k.losses.binary_crossentropy(y["clean"], restored))
            for (name, weight), features in zip(lessons.items(), taught, strict=True):
                loss += weight * losses[name](features, y[name])
            return loss

    return Twin()


def info_nce(features: Any) -> Any:
    """Loss of two stacks of views of norm 1, (2n, d): each is to find its other among n."""
    ops = keras().ops
    first, second = ops.split(features, 2)
    scores = first @ ops.transpose(second) / _TEMPERATURE
    rows = ops.arange(ops.shape(scores)[0])
    losses = keras().losses.sparse_categorical_crossentropy
    ways = [losses(rows, way, from_logits=True) for way in (scores, ops.transpose(scores))]
    return (ops.mean(ways[0]) + ops.mean(ways[1])) / 2


def unlike(features: Any, wanted: Any) -> Any:
    """Mean squared difference of the cosines among features and among an embedding; rows of zeros do not count."""
    ops = keras().ops
    known = ops.sum(ops.square(wanted), axis=1, keepdims=True)
    difference = features @ ops.transpose(features) - wanted @ ops.transpose(wanted)
    return ops.mean(ops.square(difference) * (known @ ops.transpose(known)))


def misplaced(features: Any, wanted: Any) -> Any:
    """Mean of 1 - cosine between features and an embedding; rows of zeros do not count."""
    ops = keras().ops
    return ops.mean(ops.sum(ops.square(wanted), axis=1) - ops.sum(features * wanted, axis=1))
