"""What the contrastive encoder is taught, epoch by epoch.

In: pictures, a course, and the network as it is by then. Out: batches of views,
and what the network is to make of them. Neighbours, and where diffusion along
them puts each picture, are found anew every few epochs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cbir.core.workers import ordered_map
from cbir.model.networks.backend import keras
from cbir.model.networks.contrastive.diffusion import aligned, diffusion, nearest, neighbours_of
from cbir.model.networks.contrastive.layers import HALF
from cbir.model.networks.contrastive.loss import RESTORED
from cbir.model.networks.contrastive.views import Ranges, halved, noised, views
from cbir.model.networks.faster import side_by_side
from cbir.model.preprocessing import to_unit

if TYPE_CHECKING:
    from keras import Model

#: Nearest neighbours that a second view is taken from, at the most.
_FRIENDS = 10
#: Epochs for which a set of neighbours is used.
_FRESH = 3
#: Where views begin to go half as far, as a share of the epochs: what is searched for is hardly ever so distorted.
_CALM = 0.8


@dataclass(frozen=True)
class Course:
    """What pictures of one kind are taught.

    Attributes
    ----------
    ranges : Ranges
        Of their views.
    steps : int
        Batches in all, at the least: few images are seen more often.
    restored_noise : float, optional
        Largest noise of the views that the decoder restores, if not that of all.
    stages : tuple of float
        Where the stages after the first begin, as shares of the epochs; none for those who stay in the first.
    lessons : Mapping of str to float
        Halves of the feature that are taught by diffusion, and what each counts for beside InfoNCE.
    teachers : int
        Networks that are trained first, by whose graph this one is taught from the start.
    wide : bool
        For a network of twice the filters.
    longer : int
        Times as many epochs as usual.
    """

    ranges: Ranges
    steps: int
    restored_noise: float | None = None
    stages: tuple[float, ...] = ()
    lessons: Mapping[str, float] = field(default_factory=dict)
    teachers: int = 0
    wide: bool = False
    longer: int = 1


class Lessons:
    """Draws each epoch's batches, by the network as it is by then; or by what teachers see, (n, d), from the start."""

    def __init__(
        self,
        network: "Model",
        head: "Model",
        images: np.ndarray,
        course: Course,
        seed: int,
        *,
        epochs: int,
        size: int,
        told: np.ndarray | None = None,
    ) -> None:
        self.images, self.course, self.seed, self.size, self.told = images, course, seed, size, told
        self.starts = [round(share * epochs) if told is None else 0 for share in course.stages]
        self.calm = round(_CALM * epochs)
        given = {"head": head(network.get_layer("seen").output)}
        given |= {name: network.get_layer(name).output for name in course.lessons}
        self._encoders = {name: side_by_side(keras().Model(network.input, output)) for name, output in given.items()}
        self._friends: np.ndarray | None = None
        self._lessons = {name: np.zeros((len(images), HALF), np.float32) for name in course.lessons}

    def batches(self, epoch: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield (views, what is to be made of them): first views and second views one above the other."""
        stage = 1 + sum(epoch >= start for start in self.starts)
        stale = self.told is None and stage > 1 and (epoch - self.starts[stage - 2]) % _FRESH == 0
        if stage > 1 and (self._friends is None or stale):
            self._look(stage)
        ranges = self.course.ranges if epoch < self.calm else halved(self.course.ranges)
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.images))
        steps = max(1, len(order) // self.size)
        # Too few for a batch are seen several times in it.
        order = np.resize(order, max(len(order), self.size))
        chosen = (order[step * self.size : (step + 1) * self.size] for step in range(steps))
        # One thread, so that the generator draws in order; OpenCV releases Python's lock while the network trains.
        yield from ordered_map(lambda rows: self._batch(rows, ranges, generator), chosen, threads=1, ahead=3)

    def seen(self) -> np.ndarray:
        """Return what the network makes of the pictures by now, (n, d): head and likeness."""
        return np.concatenate([self._encoded(name) for name in ("head", "likeness")], axis=1)

    def _look(self, stage: int) -> None:
        """Find neighbours, and where diffusion along them puts each picture.

        By the head, and in the end by the likeness too: it joins more, but has learned too little before.
        """
        if len(self.images) < 2:
            return
        seen = self.told
        if seen is None:
            seen = self.seen() if stage >= 4 else self._encoded("head")
        neighbours = nearest(seen, neighbours_of(len(self.images)))
        self._friends = neighbours[:, :_FRIENDS]
        if stage >= 3:
            self._lessons["likeness"] = diffusion(neighbours, HALF, seed=self.seed)
        if stage >= 4:
            # An embedding may be turned as one likes: the less is to be learned anew, the better.
            self._lessons["place"] = aligned(self._lessons["likeness"], self._encoded("place"))

    def _encoded(self, encoder: str) -> np.ndarray:
        network = self._encoders[encoder]
        blocks = (self.images[start : start + 2048] for start in range(0, len(self.images), 2048))
        return np.concatenate([np.asarray(network.predict_on_batch(to_unit(block))) for block in blocks])

    def _batch(
        self, rows: np.ndarray, ranges: Ranges, generator: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        others = rows
        if self._friends is not None:
            others = self._friends[rows, generator.integers(0, self._friends.shape[1], len(rows))]
        pictures = np.concatenate([rows, others])
        noisy, clean = views(self.images[pictures], ranges, generator)
        if self.course.restored_noise is not None:
            noisy[:RESTORED] = noised(clean[:RESTORED], self.course.restored_noise, generator)
        lessons = {name: lesson[pictures] for name, lesson in self._lessons.items()}
        return noisy, {"clean": clean[:RESTORED], **lessons}
