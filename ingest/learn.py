"""The encoder for a collection: loaded, taken over from a file, or trained.

In: a source and where models are kept. Out: a model bundle and whether it was
trained just now. A bundle is never changed: training again makes another, and
the collection that is filled with it says which it uses.
"""

import hashlib
import itertools
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.ingest.read import read
from cbir.ingest.sources.source import Item, Source, SourceError
from cbir.model.bundle import Bundle, write_bundle
from cbir.model.bundles import bundles, free_path
from cbir.model.errors import ImageError
from cbir.model.kind import Kind
from cbir.model.method import Examples
from cbir.model.preprocessing import Preprocessing
from cbir.model.suited import Look, look, suited

#: More images teach this network nothing more, and all are held in memory (78 MB at 28x28).
TRAIN_AT_MOST = 100_000
_WATCHED = 1_000
#: Pictures opened to choose the encoder's input shape.
_SAMPLED = 100


@dataclass(frozen=True)
class Plan:
    """Which encoder to learn, and how.

    Attributes
    ----------
    kind : Kind
    recipe : Recipe of that kind
    size : int or None
        Height and width of the encoder's input; what suits the source if None.
    """

    kind: Kind
    recipe: Any
    size: int | None = None


def train_bundle(
    models: Path,
    name: str,
    source: Source,
    plan: Plan,
    *,
    in_use: Collection[str] = (),
    anew: bool = False,
    limit: int | None = None,
    progress: Progress = silent,
) -> tuple[Bundle, bool]:
    """Learn an encoder from a source.

    Parameters
    ----------
    models : Path
        Folder of bundles; the new one takes the first free of `name`, `name-2`, ...
    name : str
    source : Source
        Its labels are read for an encoder that learns from labels, and for no other.
    plan : Plan
    in_use : collection of str
        Bundles that collections use.
    anew : bool
        Train although a bundle was trained before on the same images by the same recipe;
        only one of this name that no collection uses, what an interrupted job left, is taken.
    limit : int, optional
        The most items to train on.
    progress : Progress
        Stages `read`, `train` and `export`.

    Returns
    -------
    bundle : Bundle
    trained : bool
        By this call.

    Raises
    ------
    SourceError
        Not one picture of the source can be read, or it has no labels to learn from.
    KeyboardInterrupt
        After Ctrl-C; the same call goes on after the last whole epoch.
    """
    count = min(len(source), limit or len(source), TRAIN_AT_MOST)
    preprocessing = plan.kind.preprocessing(preprocessing_for(source, plan.size))
    items, images = _pixels(itertools.islice(source.items(), count), preprocessing, count, progress)
    if not len(images):
        raise SourceError(f"not one of the {count} pictures of {source.name} can be read")
    labels = _classes(items, source.name, plan.kind) if plan.kind.learns_from == "labels" else None
    described = plan.kind.describe(plan.recipe)
    decided = {**described, "recipe": plan.kind.non_defaults(described["recipe"])}
    identity = _identity(decided, preprocessing, images, labels)
    for left in bundles(models):
        ours = (left.name == name or left.name.rpartition("-")[0] == name) and left.name not in in_use
        if (ours or not anew) and left.metadata.get("training") == identity and left.loads():
            return left, False
    _, held_out = _pixels(source.queries()[:_WATCHED], preprocessing, None, silent)
    models.mkdir(parents=True, exist_ok=True)
    checkpoint = models / f".{name}.training.npz"
    clock = time.perf_counter()
    learned = plan.kind.method.learn(
        Examples(images, labels, held_out), plan.recipe, checkpoint=checkpoint, progress=progress
    )
    seconds = time.perf_counter() - clock + (learned.history.resumed if learned.history else 0)
    progress("export", 0, None)
    bundle = write_bundle(
        free_path(models, name),
        learned,
        preprocessing,
        described=described,
        trained_on=source.name,
        training=identity,
        images=len(images),
        seconds=seconds,
    )
    for left_over in models.glob(f"{checkpoint.stem}*{checkpoint.suffix}"):
        left_over.unlink()
    progress("export", 1, 1)
    return bundle, True


def preprocessing_for(source: Source, size: int | None = None) -> Preprocessing:
    """Choose what pictures of a source are brought to, by a sample of them, at that size if one is given."""
    return suited(_sample(source), size)


def _sample(source: Source) -> list[Look]:
    """Look at some pictures of a source, from all over it."""
    step = max(1, len(source) // _SAMPLED)
    opened = []
    for item in itertools.islice(source.items(), 0, None, step):
        with suppress(ImageError):
            opened.append(look(item.open()))
    return opened


def _pixels(
    items: Iterable[Item], preprocessing: Preprocessing, count: int | None, progress: Progress
) -> tuple[list[Item], np.ndarray]:
    """Return the items that can be read, and their pixels (n, h, w, c) uint8."""
    readable: list[Item] = []
    stacks = [np.empty((0, *preprocessing.shape), np.uint8)]
    done = 0
    for batch in read(items, preprocessing):
        readable += batch.items
        stacks.append(batch.pixels)
        done += len(batch.items) + len(batch.unreadable)
        progress("read", done, count)
    return readable, np.concatenate(stacks)


def _classes(items: Sequence[Item], source: str, kind: Kind) -> np.ndarray:
    """Number the items' labels, (n,) int64."""
    labels = [str(item.label) for item in items if item.label is not None]
    if len(labels) < len(items) or len(set(labels)) < 2:
        raise SourceError(
            f"encoder '{kind.name}' learns from labels, which {source} has not: put the pictures into one folder "
            "per class, or name another encoder (cbir encoders)"
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _identity(
    decided: Mapping[str, Any], preprocessing: Preprocessing, images: np.ndarray, labels: np.ndarray | None
) -> str:
    """Hash encoder, recipe, images and labels: what was learned is the same if these are; 64 hexadecimal digits."""
    facts = [decided, preprocessing.describe(), images.shape]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()
