"""A denoising encoder that learns, without labels, what stays the same.

In: pictures. Out: a network whose layer `encoder` gives features of norm 1, and
whose output is the picture without its noise. Four stages, each adding a lesson
to those before, and taking more for the same:

1. Two random views of a picture belong together, against the rest of the batch
   (InfoNCE: A. van den Oord et al. 2018; SimCLR: T. Chen et al., ICML 2020).
2. So do views of a picture and of one of its nearest neighbours, found anew
   with the encoder as it is by then (NNCLR: D. Dwibedi et al., ICCV 2021;
   TLDR: Y. Kalantidis et al., TMLR 2022).
3. How alike any two pictures of a batch are is learned from diffusion on the
   graph of neighbours (`diffusion.py`), which joins the islands that one kind of
   picture falls into. The graph is then made anew from what was learned.
4. So is the very place where diffusion puts a picture.

The first two teach a head that is dropped afterwards, the others a half of the
feature each: likeness keeps the closest in order, places the whole database.

The decoder sees the feature (what is shown) and a small map (how it is drawn):
what views change cannot be in the feature, but is needed to restore a picture.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.image import to_unit
from model.method import Examples, Learned
from model.networks.backend import keras
from model.networks.checkpoint import identity
from model.networks.diffusion import NEIGHBOURS, aligned, diffusion, nearest
from model.networks.epochs import run_epochs
from model.networks.views import Ranges, views
from model.progress import Progress, silent
from model.recipe import at_least

if TYPE_CHECKING:
    from keras import Model

REVISION = 1

#: Softness of InfoNCE: the smaller, the more the hardest others count.
_TEMPERATURE = 0.2
#: Nearest neighbours that a second view is taken from.
_FRIENDS = 10
#: Epochs for which a set of neighbours is used.
_FRESH = 2
#: Pictures of each batch that the decoder restores.
_RESTORED = 64
#: Values of each half of the feature, and of the diffusion embedding that it learns from.
_HALF = 64
#: Values of the head that InfoNCE teaches.
_HEAD = 128
#: Values of the map that tells how a picture is drawn, for each of 4x4 places.
_MANNER = 8
#: Where the second, third and fourth stage begin, as shares of the epochs.
_STAGES = (0.2, 0.35, 0.7)
#: Slices that a batch is worked on in, side by side where there are cores; each is normalised by itself.
_SLICES = 4
#: What the lessons of the third and fourth stage count for, beside InfoNCE.
_LIKENESS, _PLACE = 20.0, 10.0


@dataclass(frozen=True)
class Recipe:
    """What decides the training, besides the images.

    Parameters
    ----------
    epochs : int, optional
        By default 20, and more for fewer than 60,000 images, up to 200.
    batch_size : int
        Pictures a step, each seen twice; fewer if there are fewer.
    noise : float
        Largest standard deviation of a view's Gaussian noise, pixels in [0, 1].
    rotation : float, optional
        Degrees to either side that a view is turned by: what is to be found however it is turned.
        40 by default, 15 for colour pictures. At 180 a 6 is a 9.
    seed : int
    """

    epochs: int | None = None
    batch_size: int = 512
    noise: float = 0.5
    rotation: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, epochs=self.epochs or 1, batch_size=self.batch_size)
        at_least(0, noise=self.noise, rotation=self.rotation or 0, seed=self.seed)


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train the encoder and its decoder; see the module for how."""
    progress("train", 0, None, "loading Keras")  # seconds in which nothing else is told
    network = contrastive_network(examples.shape, recipe.seed)
    images = examples.images
    size = max(2, min(recipe.batch_size, len(images) // 12))
    epochs, steps = recipe.epochs or _epochs(len(images)), max(1, len(images) // size)
    head = _head(network, recipe.seed)
    twin = _twin(network, head)
    schedule = keras().optimizers.schedules.CosineDecay(
        1e-4, epochs * steps, warmup_target=2e-3, warmup_steps=min(100, epochs * steps // 4)
    )
    twin.compile(optimizer=keras().optimizers.AdamW(schedule, weight_decay=1e-4))
    history = run_epochs(
        twin,
        _Lessons(network, head, images, recipe, epochs=epochs, size=size).batches,
        epochs,
        steps,
        identity=identity(network, recipe, images),
        checkpoint=checkpoint,
        progress=progress,
    )
    return Learned(network=network, history=history)


def contrastive_network(shape: tuple[int, int, int], seed: int) -> "Model":
    """Build the untrained network.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width are equal, and even.
    seed : int

    Returns
    -------
    keras.Model
        (n, h, w, c) in [0, 1] to the same; of its layers, `likeness` and
        `place` are the halves of `encoder`, and `trunk` is what they and the head
        are made from.
    """
    layers = keras().layers
    seeds = iter(range(seed * 100, seed * 100 + 100))

    def conv(x: Any, filters: int, size: int = 3, strides: int = 1, **options: Any) -> Any:
        weights = keras().initializers.GlorotUniform(seed=next(seeds))
        return layers.Conv2D(filters, size, strides=strides, padding="same", kernel_initializer=weights, **options)(x)

    def dense(x: Any, values: int, **options: Any) -> Any:
        weights = keras().initializers.GlorotUniform(seed=next(seeds))
        return layers.Dense(values, kernel_initializer=weights, **options)(x)

    pixels = x = keras().Input(shape)
    side, widths = shape[0], iter((32, 64, 128, 128, 256, 256))
    sides = []
    while side > 4:
        sides.append(side)
        x = conv(x, next(widths), size=3 if sides[1:] else 5, strides=2, use_bias=False)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        side = -(-side // 2)
    trunk = layers.Activation("linear", name="trunk")(x)  # 4 x 4 x 128
    flat = layers.Flatten()(trunk)
    halves = [layers.UnitNormalization(name=name)(dense(flat, _HALF)) for name in ("likeness", "place")]
    feature = layers.Concatenate(name="encoder")([layers.Rescaling(0.5**0.5)(half) for half in halves])

    shown = layers.Reshape((side, side, 32))(dense(feature, side * side * 32, activation="relu"))
    x = layers.Concatenate()([shown, conv(trunk, _MANNER, size=1, activation="relu")])
    for width in (32, *([16] * (len(sides) - 1))):
        x = layers.UpSampling2D(2)(conv(x, width, activation="relu"))
    spare = (side * 2 ** len(sides) - shape[0]) // 2
    x = layers.Cropping2D(spare)(x)
    restored = conv(x, shape[2], activation="sigmoid")
    return keras().Model(pixels, restored, name="contrastive")


def _epochs(count: int) -> int:
    """Fewer images are seen more often, but not as often as would make up for it."""
    return min(200, round(20 * max(1.0, (60_000 / count) ** 0.5)))


class _Lessons:
    """Draws each epoch's batches, by the network as it is by then."""

    def __init__(
        self, network: "Model", head: "Model", images: np.ndarray, recipe: Recipe, epochs: int, size: int
    ) -> None:
        colour = images.shape[3] == 3
        self.images, self.seed, self.epochs, self.size = images, recipe.seed, epochs, size
        self.ranges = Ranges(
            rotation=recipe.rotation if recipe.rotation is not None else 15.0 if colour else 40.0,
            scale=(1.0, 2.2) if colour else (0.7, 1.3),
            shear=0.1 if colour else 0.3,
            shift=0.15 if colour else 0.1,
            elastic=0.01 if colour else 0.03,
            noise=recipe.noise,
            light=0.4 if colour else 0.0,
            mirror=colour,
        )
        self._head = keras().Model(network.input, head(network.get_layer("trunk").output))
        self._likeness, self._place = (
            keras().Model(network.input, network.get_layer(name).output) for name in ("likeness", "place")
        )
        self._friends: np.ndarray | None = None
        self._lessons = dict.fromkeys(("likeness", "place"), np.zeros((len(images), _HALF), np.float32))

    def batches(self, epoch: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield (views, what is to be made of them): first views and second views one above the other."""
        starts = [round(share * self.epochs) for share in _STAGES]
        stage = 1 + sum(epoch >= start for start in starts)
        if stage > 1 and (self._friends is None or (epoch - starts[stage - 2]) % _FRESH == 0):
            # The likeness has learned nothing before the first graph of the third stage.
            self._look(self._likeness if epoch > starts[1] else self._head, stage)
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.images))
        steps = max(1, len(order) // self.size)
        chosen = (order[step * self.size : (step + 1) * self.size] for step in range(steps))
        yield from _ahead(partial(self._batch, rows, generator) for rows in chosen)

    def _look(self, encoder: "Model", stage: int) -> None:
        """Find neighbours by an encoder, and where diffusion along them puts each picture."""
        neighbours = nearest(self._encoded(encoder), NEIGHBOURS)
        self._friends = neighbours[:, :_FRIENDS]
        if stage >= 3:
            self._lessons["likeness"] = diffusion(neighbours, _HALF, seed=self.seed)
        if stage >= 4:
            # An embedding may be turned as one likes: the less is to be learned anew, the better.
            self._lessons["place"] = aligned(self._lessons["likeness"], self._encoded(self._place))

    def _encoded(self, encoder: "Model") -> np.ndarray:
        blocks = (self.images[start : start + 1024] for start in range(0, len(self.images), 1024))
        return np.concatenate([np.asarray(encoder.predict_on_batch(to_unit(block))) for block in blocks])

    def _batch(self, rows: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        others = rows
        if self._friends is not None:
            others = self._friends[rows, generator.integers(0, self._friends.shape[1], len(rows))]
        pictures = np.concatenate([rows, others])
        noisy, clean = views(self.images[pictures], self.ranges, generator)
        lessons = {name: lesson[pictures] for name, lesson in self._lessons.items()}
        return noisy, {"clean": clean[:_RESTORED], **lessons}


def _ahead(jobs: Iterable[Any], count: int = 3) -> Iterator[Any]:
    """Run jobs in order in a thread, a few ahead of whoever takes their results; OpenCV does without Python's lock."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Any] = deque()
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _head(network: "Model", seed: int) -> "Model":
    """Build the head that InfoNCE teaches: from the trunk to values of norm 1."""
    layers = keras().layers
    trunk = keras().Input(network.get_layer("trunk").output.shape[1:])
    weights = keras().initializers.GlorotUniform(seed=seed)
    values = layers.Dense(_HEAD, kernel_initializer=weights)(layers.Flatten()(trunk))
    return keras().Model(trunk, layers.UnitNormalization()(values))


def _twin(network: "Model", head: "Model") -> "Model":
    """Build what is trained: the same layers, from two stacks of views to the loss."""
    k, ops = keras(), keras().ops
    likeness, place, feature, trunk = (
        network.get_layer(name).output for name in ("likeness", "place", "encoder", "trunk")
    )
    tower = k.Model(network.input, [head(trunk), likeness, place, feature, trunk])
    decoder = k.Model([feature, trunk], network.output)

    class Twin(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tower, self.decoder = tower, decoder

        def call(self, images: Any, training: bool = True) -> list[Any]:
            size = ops.shape(images)[0]
            edges = [size * i // _SLICES for i in range(_SLICES + 1)]
            slices = [self.tower(images[a:b], training=training) for a, b in itertools.pairwise(edges)]
            same, likeness, place, feature, drawn = (ops.concatenate(parts) for parts in zip(*slices, strict=True))
            return [same, likeness, place, self.decoder([feature[:_RESTORED], drawn[:_RESTORED]])]

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            same, likeness, place, restored = y_pred
            restoring = ops.mean(k.losses.binary_crossentropy(y["clean"], restored))
            lessons = _LIKENESS * _unlike(likeness, y["likeness"]) + _PLACE * _misplaced(place, y["place"])
            return _info_nce(same) + lessons + restoring

    return Twin()


def _info_nce(features: Any) -> Any:
    """Loss of two stacks of views of norm 1, (2n, d): each is to find its other among n."""
    ops = keras().ops
    first, second = ops.split(features, 2)
    scores = first @ ops.transpose(second) / _TEMPERATURE
    rows = ops.arange(ops.shape(scores)[0])
    losses = keras().losses.sparse_categorical_crossentropy
    ways = [losses(rows, way, from_logits=True) for way in (scores, ops.transpose(scores))]
    return (ops.mean(ways[0]) + ops.mean(ways[1])) / 2


def _unlike(features: Any, wanted: Any) -> Any:
    """Mean squared difference of the cosines among features and among an embedding; rows of zeros do not count."""
    ops = keras().ops
    known = ops.sum(ops.square(wanted), axis=1, keepdims=True)
    difference = features @ ops.transpose(features) - wanted @ ops.transpose(wanted)
    return ops.mean(ops.square(difference) * (known @ ops.transpose(known)))


def _misplaced(features: Any, wanted: Any) -> Any:
    """Mean of 1 - cosine between features and an embedding; rows of zeros do not count."""
    ops = keras().ops
    return ops.mean(ops.sum(ops.square(wanted), axis=1) - ops.sum(features * wanted, axis=1))
