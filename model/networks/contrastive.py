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
   picture falls into.
4. So is the very place where diffusion puts a picture.

The first two teach a head that is dropped afterwards, the others a half of the
feature each: likeness keeps the closest in order, places the whole database.
The graph is made anew every few epochs, by the head, and in the last stage by
head and likeness together. At the end views go half as far, for what is searched
for is hardly ever so distorted.

That is for drawings, in grey. Photographs, in colour, stay in the first stage:
of a photograph's nearest neighbours two in three show something else, and
neither they nor diffusion among them helped (docs/encoders.md has the figures).

The decoder sees the feature (what is shown) and a small map (how it is drawn):
what views change cannot be in the feature, but is needed to restore a picture.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.image import to_unit
from model.method import Examples, Learned
from model.networks.backend import keras
from model.networks.checkpoint import identity
from model.networks.contrastive_loss import RESTORED, contrastive_twin
from model.networks.contrastive_network import HALF, contrastive_network, head_of, photographs
from model.networks.diffusion import aligned, diffusion, nearest, neighbours_of
from model.networks.epochs import run_epochs
from model.networks.faster import side_by_side
from model.networks.views import Ranges, halved, noised, views
from model.progress import Progress, silent
from model.recipe import at_least

if TYPE_CHECKING:
    from keras import Model

REVISION = 2

#: Epochs, unless few images need more.
_EPOCHS = 20
#: Nearest neighbours that a second view is taken from, at the most.
_FRIENDS = 10
#: Pictures of a batch at the least: what is normalised by slices needs some in each.
_LEAST = 8
#: Epochs for which a set of neighbours is used.
_FRESH = 3
#: Where views begin to go half as far, as a share of the epochs: what is searched for is hardly ever so distorted.
_CALM = 0.8
#: Largest noise of a photograph's views: more hides what is finer than a digit's strokes.
_FAINT = 0.1


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
    """

    ranges: Ranges
    steps: int
    restored_noise: float | None = None
    stages: tuple[float, ...] = ()
    lessons: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What decides the training, besides the images.

    Parameters
    ----------
    epochs : int, optional
        By default 20, and more for few images: until there were 360 steps, 600 for photographs.
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
        at_least(1, epochs=1 if self.epochs is None else self.epochs, batch_size=self.batch_size)
        at_least(0, noise=self.noise, rotation=self.rotation or 0, seed=self.seed)


def learn(
    examples: Examples, recipe: Recipe, *, checkpoint: Path | None = None, progress: Progress = silent
) -> Learned:
    """Train the encoder and its decoder; see the module for how."""
    progress("train", 0, None, "loading Keras")  # seconds in which nothing else is told
    network = contrastive_network(examples.shape, recipe.seed)
    images = examples.images
    size = max(_LEAST, min(recipe.batch_size, max(len(images) // 12, min(len(images), 64))))
    steps = max(1, len(images) // size)
    course = course_for(examples.shape, recipe)
    epochs = recipe.epochs or max(_EPOCHS, -(-course.steps // steps))
    head = head_of(network, recipe.seed)
    twin = contrastive_twin(network, head, course.lessons)
    schedule = keras().optimizers.schedules.CosineDecay(
        1e-4, epochs * steps, warmup_target=2e-3, warmup_steps=min(100, epochs * steps // 4)
    )
    twin.compile(optimizer=keras().optimizers.AdamW(schedule, weight_decay=1e-4))
    history = run_epochs(
        twin,
        _Lessons(network, head, images, course, recipe.seed, epochs=epochs, size=size).batches,
        epochs,
        steps,
        identity=identity(network, recipe, images),
        checkpoint=checkpoint,
        progress=progress,
    )
    return Learned(network=network, history=history)


def course_for(shape: tuple[int, int, int], recipe: Recipe) -> Course:
    """Choose what pictures of this shape are taught: photographs stay in the first stage."""
    if photographs(shape):
        rotation = 15.0 if recipe.rotation is None else recipe.rotation
        return Course(
            Ranges(
                rotation=rotation,
                scale=(1.0, 2.2),
                shear=0.1,
                shift=0.0,
                elastic=0.01,
                noise=min(_FAINT, recipe.noise),
                blur=0.02,
                crop=True,
                light=0.4,
                mirror=True,
            ),
            steps=600,
            restored_noise=recipe.noise,
        )
    rotation = 40.0 if recipe.rotation is None else recipe.rotation
    return Course(
        Ranges(rotation=rotation, scale=(0.7, 1.3), shear=0.3, shift=0.1, elastic=0.03, noise=recipe.noise, blur=0.05),
        steps=360,
        stages=(0.2, 0.35, 0.7),
        lessons={"likeness": 20.0, "place": 10.0},
    )


class _Lessons:
    """Draws each epoch's batches, by the network as it is by then."""

    def __init__(
        self, network: "Model", head: "Model", images: np.ndarray, course: Course, seed: int, epochs: int, size: int
    ) -> None:
        self.images, self.course, self.seed, self.size = images, course, seed, size
        self.starts = [round(share * epochs) for share in course.stages]
        self.calm = round(_CALM * epochs)
        given = {"head": head(network.get_layer("seen").output)}
        given |= {name: network.get_layer(name).output for name in course.lessons}
        self._encoders = {name: side_by_side(keras().Model(network.input, output)) for name, output in given.items()}
        self._friends: np.ndarray | None = None
        self._lessons = {name: np.zeros((len(images), HALF), np.float32) for name in course.lessons}

    def batches(self, epoch: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield (views, what is to be made of them): first views and second views one above the other."""
        stage = 1 + sum(epoch >= start for start in self.starts)
        if stage > 1 and (self._friends is None or (epoch - self.starts[stage - 2]) % _FRESH == 0):
            self._look(stage)
        ranges = self.course.ranges if epoch < self.calm else halved(self.course.ranges)
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.images))
        steps = max(1, len(order) // self.size)
        # Too few for a batch are seen several times in it.
        order = np.resize(order, max(len(order), self.size))
        chosen = (order[step * self.size : (step + 1) * self.size] for step in range(steps))
        yield from _ahead(partial(self._batch, rows, ranges, generator) for rows in chosen)

    def _look(self, stage: int) -> None:
        """Find neighbours, and where diffusion along them puts each picture.

        By the head, and in the end by the likeness too: it joins more, but has learned too little before.
        """
        if len(self.images) < 2:
            return
        seen = [self._encoded(name) for name in (("head", "likeness") if stage >= 4 else ("head",))]
        neighbours = nearest(np.concatenate(seen, axis=1), neighbours_of(len(self.images)))
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
