"""`photo`: what a network trained on photographs sees, projected by what the source's own pictures teach.

In: pictures of any kind, squashed to 224 x 224. Out: features of at most 256
values and length 1. Nothing is trained before the first result: the network's
weights come with a package of pip's, and the projection is learned from its
features in seconds, without labels.

Source: Babenko et al., "Neural codes for image retrieval", ECCV 2014: features
of a network trained for classification, compressed by PCA.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from cbir.core.options import check_options, option
from cbir.core.progress import Progress, silent
from cbir.model.distortion import COPIES, Distortion, workable
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.pretrained.adaptation import MODES, Adapt, adapted
from cbir.model.pretrained.architecture import SIZE, VALUES
from cbir.model.pretrained.precision import PRECISIONS, Chosen, choose_precision
from cbir.model.pretrained.weights import weights

KIND = Kind(
    "photo",
    "A network trained on photographs, fitted to your pictures in seconds.",
    __name__,
    streams=True,
    most_images=10_000,
    licence="Apache-2.0",
)
REVISION = 2
#: Pictures encoded at once: more are no faster, and their activations take memory.
_BLOCK = 8
#: Pictures whose edited copies are looked at: one in so many, and at most.
_ONE_IN, _EDITED = 16, 64
#: Edits that show which head finds copies: after the others every copy is found by either.
_HARD = ("crop", "middle", "turn", "screenshot")


@dataclass(frozen=True)
class Recipe:
    """The options of the encoder."""

    adapt: str = option("auto", "Learn how your pictures lie together; auto: unless that loses copies.", choices=MODES)
    precision: str = option("auto", "Arithmetic; auto: int8 where it is faster and as good.", choices=PRECISIONS)
    values: int = option(256, "Values in a feature.", least=64, most=VALUES)
    seed: int = option(0, "Random seed.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


def preprocessing(suited: Preprocessing) -> Preprocessing:
    """Return what the network takes, whatever suits the pictures."""
    return replace(suited, height=SIZE, width=SIZE, channels=3, fit="squash", values="bytes")


def learn(
    examples: Examples,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,  # noqa: ARG001 - takes seconds
    progress: Progress = silent,
) -> Learned:
    """Encode the pictures by the network, and learn what to make of its features."""
    if examples.blocks is None:
        raise TypeError("encoder 'photo' takes its examples in blocks")
    chosen: Chosen | None = None
    raw, few = [], _Spread(_EDITED)
    for block in examples.blocks:
        chosen = chosen or choose_precision(block, recipe.precision)
        raw.append(_encoded(chosen.run, block))
        few.add(block)
    if chosen is None:  # not one picture can be read, which the caller says
        return Learned(features=np.empty((0, recipe.values), np.float32))
    features = np.concatenate(raw)
    head, decision = adapted(
        features,
        partial(_edited, chosen.run, few.thinned(len(features) // _ONE_IN), recipe.seed),
        general=weights()["_fc.weight"],
        values=recipe.values,
        adapt=cast("Adapt", recipe.adapt),
        seed=recipe.seed,
        progress=progress,
    )
    return Learned(
        graph=head.appended(chosen.network).SerializeToString(),
        features=head.apply(features),
        about={"precision": chosen.precision, "licence": KIND.licence, "notes": [*chosen.notes, decision.text]},
    )


@dataclass
class _Spread:
    """At most `most` of the pictures of a stream, from all over it, however long it is."""

    most: int
    step: int = 1
    seen: int = 0
    rows: list[int] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    def add(self, block: np.ndarray) -> None:
        """Take some of the next pictures, (k, h, w, c) uint8."""
        for picture in block:
            if self.seen % self.step == 0:
                self.rows.append(self.seen)
                self.pictures.append(picture.copy())
            self.seen += 1
            if len(self.rows) > self.most:
                self.rows, self.pictures, self.step = self.rows[::2], self.pictures[::2], 2 * self.step

    def thinned(self, most: int) -> "_Spread":
        """Return at most so many of them, but at least one, from all over the stream."""
        step = max(1, -(-len(self.rows) // max(1, most)))
        return _Spread(self.most, self.step * step, self.seen, self.rows[::step], self.pictures[::step])


def _edited(run: Inference, few: _Spread, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which pictures were edited, (m,) int, and the features of their edited copies, (edits, m, d)."""
    features = []
    for number, edit in enumerate(edit for _, edit in COPIES if edit.kind.name in _HARD):
        pixels = [
            _edit(picture, edit, np.random.default_rng([seed, number, row]))
            for row, picture in zip(few.rows, few.pictures, strict=True)
        ]
        features.append(_encoded(run, np.stack(pixels)))
    return np.array(few.rows), np.stack(features)


def _edit(pixels: np.ndarray, edit: Distortion, generator: np.random.Generator) -> np.ndarray:
    """Edit what the network sees of a picture, (h, w, 3) uint8, and bring it to size again; margins stay."""
    return preprocessing(Preprocessing(SIZE, SIZE, 3)).pixels(edit(workable(Image.fromarray(pixels)), generator))


def _encoded(run: Inference, pictures: np.ndarray) -> np.ndarray:
    """Encode some pictures at a time: more are no faster, and the network's activations take memory."""
    starts = range(0, len(pictures), _BLOCK)
    return np.concatenate([run(pictures[start : start + _BLOCK]) for start in starts])
