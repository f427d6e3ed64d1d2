"""The encoder for a collection: found, copied from elsewhere, or trained.

In: where the points go, and the folder of models. Out: a model bundle and
whether it was trained just now. A bundle is never changed: training again makes another, and
the metadata of the collection that is filled with it say which it uses.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.checks import check_encoder
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.core.progress import Progress, silent
from cbir.ingest.read import read_pixels
from cbir.ingest.sample import Sample, take_sample
from cbir.ingest.sources.source import Item, Source, SourceError, items_to_take
from cbir.ingest.target import Target
from cbir.model.bundle import Bundle, read_bundle, write_bundle
from cbir.model.bundles import adopt_bundle, bundles, free_path
from cbir.model.kind import Kind
from cbir.model.method import Examples
from cbir.model.preprocessing import Preprocessing

#: More images teach these networks nothing more, and all are held in memory (78 MB at 28x28).
_MAX_TRAINING_IMAGES = 100_000
#: Held-out pictures whose loss is watched while a network trains.
_MAX_WATCHED = 1_000


@dataclass(frozen=True)
class Plan:
    """Which encoder to learn, and its options.

    Attributes
    ----------
    kind : Kind
    recipe : Recipe of that kind
    size : int or None
        Height and width of the encoder's input; what suits the source if None.
    sample : Sample or None
        Pictures of the source, some or all, that were read before; they chose the preprocessing.
    """

    kind: Kind
    recipe: Any
    size: int | None = None
    sample: Sample | None = None


def bundle_for(
    target: Target,
    engine: Engine,
    models: Path,
    plan: Plan,
    *,
    model: Path | None = None,
    require_plan: bool = False,
    limit: int | None = None,
    progress: Progress = silent,
) -> tuple[Bundle, bool]:
    """Find, copy or train the model bundle that fills a collection; parameters as of `cbir.ingest.job.run`.

    Returns
    -------
    bundle : Bundle
    trained : bool
        By this call.

    Raises
    ------
    CollectionError
        Another encoder filled the collection.
    SourceError, ModelError
        The source or the model cannot be used.
    """
    name, existing = target.name, target.existing
    if model is not None:
        return adopt_bundle(models, name, model, lambda found: _check(name, existing, found, model)), False
    if existing is not None:
        bundle = read_bundle(models / existing.model)
        _check(name, existing, bundle.fingerprint, bundle.path)
        if require_plan:
            _check_plan(name, bundle, plan)
        return bundle, False
    return train_bundle(
        models,
        name,
        target.source,
        plan,
        in_use=_in_use(engine),
        retrain=target.retrain,
        limit=limit,
        progress=progress,
    )


def _check(name: str, existing: Metadata | None, fingerprint: str, path: Path) -> None:
    if existing is not None:
        check_encoder(name, existing, fingerprint, path)


def _check_plan(name: str, bundle: Bundle, plan: Plan) -> None:
    """Refuse another kind of encoder, or another input size, than the collection's."""
    side = bundle.preprocessing.height
    if bundle.kind != plan.kind.name or plan.size not in (None, side):
        wanted = plan.kind.name if plan.size is None else f"{plan.kind.name} at {plan.size}x{plan.size}"
        raise CollectionError(
            f"collection '{name}' was filled by encoder '{bundle.kind}' at {side}x{side}, not {wanted}; "
            "name another --collection, or rebuild this one with --retrain"
        )


def _in_use(engine: Engine) -> set[str]:
    """Return the names of the models that collections need."""
    names = set()
    for name in engine.names():
        with suppress(CollectionError):
            names.add(engine.metadata(name).model)
    return names


def images_to_learn(source: Source, limit: int | None) -> int:
    """Return how many images of a source an encoder learns from, at the most."""
    return min(items_to_take(source, limit), _MAX_TRAINING_IMAGES)


def train_bundle(
    models: Path,
    name: str,
    source: Source,
    plan: Plan,
    *,
    in_use: Collection[str] = (),
    retrain: bool = False,
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
    retrain : bool
        Train although a bundle was trained before on the same images by the same recipe; only a bundle
        of this name that no collection uses, which an interrupted ingest left, is taken.
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
        No picture of the source can be read, or it has no labels to learn from.
    KeyboardInterrupt
        After Ctrl-C; the same call continues after the last complete epoch.
    """
    count = images_to_learn(source, limit)
    described = plan.kind.describe(plan.recipe)
    decided = {**described, "recipe": plan.kind.non_defaults(described["recipe"])}
    learns = plan.kind.learns_from != "nothing"
    sample = plan.sample or take_sample(source, plan.kind, plan.size, keep_pixels=learns)
    preprocessing = sample.preprocessing
    if not learns:
        images, labels = np.empty((0, *preprocessing.shape), np.uint8), None
    else:
        items, images = _pixels(islice(source.items(), count), count, sample, progress)
        if not len(images):
            raise SourceError(f"none of the {count} pictures of {source} can be read")
        labels = _classes(items, source, plan.kind) if plan.kind.learns_from == "labels" else None
    identity = _identity(decided, preprocessing, images, labels)
    for found in bundles(models):
        own = (found.name == name or found.name.rpartition("-")[0] == name) and found.name not in in_use
        if (own or not retrain) and _is_same(found, identity, plan.kind, decided, preprocessing) and found.loads():
            return found, False

    models.mkdir(parents=True, exist_ok=True)
    checkpoint = models / f".{name}.training.npz"
    clock = time.perf_counter()
    examples = Examples(images, labels, partial(_held_out, source, preprocessing))
    learned = plan.kind.method.learn(examples, plan.recipe, checkpoint=checkpoint, progress=progress)
    seconds = time.perf_counter() - clock + (learned.history.resumed if learned.history else 0)
    progress("export", 0, None)
    bundle = write_bundle(
        free_path(models, name),
        learned,
        preprocessing,
        described=described,
        trained_on=str(source),
        training=identity,
        images=len(images),
        seconds=seconds,
    )
    for left_over in models.glob(f"{checkpoint.stem}*{checkpoint.suffix}"):
        left_over.unlink()
    progress("export", 1, 1)
    return bundle, True


def _pixels(items: Iterable[Item], count: int, sample: Sample, progress: Progress) -> tuple[list[Item], np.ndarray]:
    """Return those of `count` items that can be read, and their pixels (n, h, w, c) uint8."""
    readable: list[Item] = []
    images = np.empty((count, *sample.preprocessing.shape), np.uint8)
    reading = read_pixels(items, sample.preprocessing, sample.pixels, total=count, progress=progress)
    with closing(reading) as pictures:
        for item, pixels in pictures:
            if pixels is not None:
                images[len(readable)] = pixels
                readable.append(item)
    return readable, images[: len(readable)]


def _held_out(source: Source, preprocessing: Preprocessing) -> np.ndarray:
    """Return the pixels of some held-out pictures, (n, h, w, c) uint8."""
    pictures = read_pixels(source.queries()[:_MAX_WATCHED], preprocessing)
    pixels = [pixels for _, pixels in pictures if pixels is not None]
    return np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8)


def _classes(items: Sequence[Item], source: Source, kind: Kind) -> np.ndarray:
    """Return the number of each item's label, (n,) int64."""
    labels = [str(item.label) for item in items if item.label is not None]
    if len(labels) < len(items) or len(set(labels)) < 2:
        raise SourceError(
            f"encoder '{kind.name}' learns from labels, which {source} does not have: put the pictures into one folder "
            "per class, or name another encoder (cbir encoders)"
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _is_same(
    bundle: Bundle, identity: str, kind: Kind, decided: Mapping[str, Any], preprocessing: Preprocessing
) -> bool:
    """Return whether learning would make this bundle again."""
    if bundle.metadata.get("training") == identity:
        return True
    # An encoder that learns nothing does not depend on pictures; older bundles were identified by them nevertheless.
    recipe = kind.non_defaults(bundle.metadata.get("recipe") or {})
    facts = {**{name: bundle.metadata.get(name) for name in ("encoder", "revision")}, "recipe": recipe}
    return kind.learns_from == "nothing" and facts == decided and bundle.preprocessing == preprocessing


def _identity(
    decided: Mapping[str, Any], preprocessing: Preprocessing, images: np.ndarray, labels: np.ndarray | None
) -> str:
    """Return a hash of all that decides what is learned: encoder, recipe, images and labels; 64 hexadecimal digits."""
    facts = [decided, preprocessing.describe(), images.shape]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()
