"""The batches that the contrastive encoder is trained on, epoch by epoch: a curriculum.

In: pictures, a curriculum, and the network in its current state. Out: batches of
views, and the targets for what the network makes of them. Every few epochs the
nearest neighbours of each picture are searched again, and from them the target
embedding is computed by diffusion.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.workers import ordered_map
from cbir.model.diffusion import aligned, diffusion, nearest, neighbours_of
from cbir.model.networks.backend import keras
from cbir.model.networks.contrastive.layers import HALF
from cbir.model.networks.contrastive.loss import RESTORED
from cbir.model.networks.contrastive.views import Ranges, halved, noised, views
from cbir.model.networks.faster import side_by_side
from cbir.model.preprocessing import to_unit

if TYPE_CHECKING:
    from keras import Model

#: Most nearest neighbours of a picture that its second view may be taken from.
_NEIGHBOURS = 10
#: Epochs for which a set of neighbours is used.
_REFRESH = 3
#: Share of the epochs after which views are distorted half as much: real queries are hardly ever so distorted.
_MILD_FROM = 0.8


@dataclass(frozen=True)
class Curriculum:
    """How a network is trained on one sort of pictures: drawings or photographs.

    Attributes
    ----------
    ranges : Ranges
        How far views are distorted.
    steps : int
        The fewest batches in all: few images are repeated more often.
    restored_noise : float, optional
        Largest noise of the views that the decoder restores, if it differs from that of all views.
    stages : tuple of float
        Where the stages after the first begin, as shares of the epochs; empty if there is only the first.
    targets : Mapping of str to float
        Parts of the feature that learn an embedding by diffusion, and the weight of each beside InfoNCE.
    teachers : int
        Networks that are trained first, and whose neighbour graph this one learns from, from the start.
    wide : bool
        Train a network of twice the filters.
    longer : int
        Factor of the number of epochs.
    """

    ranges: Ranges
    steps: int
    restored_noise: float | None = None
    stages: tuple[float, ...] = ()
    targets: Mapping[str, float] = field(default_factory=dict)
    teachers: int = 0
    wide: bool = False
    longer: int = 1


class Lessons:
    """Draws the batches of each epoch.

    Neighbours are found by the features that the network gives at that time, or, if
    there are `teacher_features` (n, d), by those from the start.
    """

    def __init__(
        self,
        network: "Model",
        head: "Model",
        images: np.ndarray,
        curriculum: Curriculum,
        seed: int,
        *,
        epochs: int,
        size: int,
        teacher_features: np.ndarray | None = None,
    ) -> None:
        self.images, self.curriculum, self.seed, self.size = images, curriculum, seed, size
        self.teacher_features = teacher_features
        self.starts = [round(share * epochs) if teacher_features is None else 0 for share in curriculum.stages]
        self.mild_from = round(_MILD_FROM * epochs)
        outputs = {"head": head(network.get_layer("pooled").output)}
        outputs |= {name: network.get_layer(name).output for name in curriculum.targets}
        self._encoders = {name: side_by_side(keras().Model(network.input, output)) for name, output in outputs.items()}
        self._neighbours: np.ndarray | None = None
        self._targets = {name: np.zeros((len(images), HALF), np.float32) for name in curriculum.targets}

    def batches(self, epoch: int) -> Generator[tuple[np.ndarray, dict[str, np.ndarray]], None, None]:
        """Return batches of (views, targets): the first views, and below them the second views of the same pictures."""
        stage = 1 + sum(epoch >= start for start in self.starts)
        stale = self.teacher_features is None and stage > 1 and (epoch - self.starts[stage - 2]) % _REFRESH == 0
        if stage > 1 and (self._neighbours is None or stale):
            self._find_neighbours(stage)
        ranges = self.curriculum.ranges if epoch < self.mild_from else halved(self.curriculum.ranges)
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.images))
        steps = max(1, len(order) // self.size)
        # Fewer pictures than a batch takes are repeated in it.
        order = np.resize(order, max(len(order), self.size))
        chosen = (order[step * self.size : (step + 1) * self.size] for step in range(steps))
        # One thread, so that the generator draws in order; OpenCV releases Python's lock while the network trains.
        return ordered_map(lambda rows: self._batch(rows, ranges, generator), chosen, threads=1, ahead=3)

    def features(self) -> np.ndarray:
        """Return the network's current features of the pictures, (n, d): head and likeness."""
        return np.concatenate([self._encoded(name) for name in ("head", "likeness")], axis=1)

    def _find_neighbours(self, stage: int) -> None:
        """Find each picture's neighbours, and compute the target embedding by diffusion along them.

        Neighbours are found by the head, in the last stage by the likeness too: it joins more
        pictures of a kind, but has learned too little before.
        """
        if len(self.images) < 2:
            return
        features = self.teacher_features
        if features is None:
            features = self.features() if stage >= 4 else self._encoded("head")
        neighbours = nearest(features, neighbours_of(len(self.images)))
        self._neighbours = neighbours[:, :_NEIGHBOURS]
        if stage >= 3:
            self._targets["likeness"] = diffusion(neighbours, HALF, seed=self.seed)
        if stage >= 4:
            # An embedding may be rotated freely: rotated towards what has been learned, less has to be learned again.
            self._targets["place"] = aligned(self._targets["likeness"], self._encoded("place"))

    def _encoded(self, encoder: str) -> np.ndarray:
        network = self._encoders[encoder]
        blocks = (self.images[start : start + 2048] for start in range(0, len(self.images), 2048))
        return np.concatenate([np.asarray(network.predict_on_batch(to_unit(block))) for block in blocks])

    def _batch(
        self, rows: np.ndarray, ranges: Ranges, generator: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        others = rows
        if self._neighbours is not None:
            others = self._neighbours[rows, generator.integers(0, self._neighbours.shape[1], len(rows))]
        pictures = np.concatenate([rows, others])
        noisy, clean = views(self.images[pictures], ranges, generator)
        if self.curriculum.restored_noise is not None:
            noisy[:RESTORED] = noised(clean[:RESTORED], self.curriculum.restored_noise, generator)
        targets = {name: target[pictures] for name, target in self._targets.items()}
        return noisy, {"clean": clean[:RESTORED], **targets}
