"""The encoder for a collection: found, copied from elsewhere, or trained.

In: where the points go, and the folder of models. Out: a model bundle, whether
it was trained just now, and what learning made of the pictures. A bundle is
never changed: training again makes another, and the metadata of the collection
that is filled with it say which it uses.
"""

import hashlib
import json
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.checks import check_encoder
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.core.progress import Progress, silent
from cbir.ingest.examples import ExampleStream
from cbir.ingest.read import Made, read_pixels
from cbir.ingest.sample import Sample, take_sample
from cbir.ingest.sources.source import Item, Source, SourceError, items_to_take, nothing_to_read
from cbir.ingest.target import Target
from cbir.model.bundle import Bundle, fingerprint_of, read_bundle, write_bundle
from cbir.model.bundles import adopt_bundle, bundles, installed
from cbir.model.kind import Kind
from cbir.model.method import Examples, Learned
from cbir.model.preprocessing import Preprocessing

#: Bytes of pixels that are held at most to learn from: of 5,000 colour pictures at 256x256, of all at 100x100 in grey.
MOST_HELD = 1_000_000_000
#: Held-out pictures whose loss is watched while a network trains.
_MAX_WATCHED = 1_000


@dataclass(frozen=True)
class Plan:
    """Which encoder to learn, and its options.

    Attributes
    ----------
    kind : Kind or None
        None: the usual one for the source's pictures.
    recipe : Recipe of that kind, or None
    options : Mapping
        Of the usual encoder, whichever it is.
    size : int or None
        Height and width of the encoder's input; what suits the source if None.
    sample : Sample or None
        Pictures of the source, some or all, that were read before; they chose the preprocessing.
    """

    kind: Kind | None
    recipe: Any
    size: int | None = None
    sample: Sample | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The encoder to fill a collection with.

    Attributes
    ----------
    bundle : Bundle
    trained : bool
        Just now.
    usual_for : str
        What the pictures are like, where that decided which encoder it is; else empty.
    made : Mapping
        `cbir.ingest.read.key` of pictures to what learning made of them.
    """

    bundle: Bundle
    trained: bool = False
    usual_for: str = ""
    made: Mapping[str, Made] = field(default_factory=dict)


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
) -> Ready:
    """Find, copy or train the model bundle that fills a collection; parameters as of `cbir.ingest.job.run`.

    Returns
    -------
    Ready

    Raises
    ------
    CollectionError
        Another encoder filled the collection.
    SourceError, ModelError
        The source or the model cannot be used.
    """
    name, existing = target.name, target.existing
    if model is not None:
        return Ready(adopt_bundle(models, name, model, lambda found: _check(name, existing, found, model)))
    if existing is not None:
        bundle = read_bundle(models / existing.model)
        _check(name, existing, bundle.fingerprint, bundle.path)
        if require_plan:
            _check_plan(name, bundle, plan)
        return Ready(bundle)
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
    if plan.kind is None:
        return
    if bundle.kind != plan.kind.name or plan.size not in (None, side):
        wanted = plan.kind.name if plan.size is None else f"{plan.kind.name} at {plan.size}x{plan.size}"
        raise CollectionError(
            f"collection '{name}' was filled by encoder '{bundle.kind}' at {side}x{side}, not {wanted}; "
            "name another --collection, or rebuild this one with --retrain"
        )


def _in_use(engine: Engine) -> set[str]:
    """Return the names of the models that collections need."""
    return {metadata.model for metadata in engine.all_metadata().values() if isinstance(metadata, Metadata)}


def images_to_learn(source: Source, limit: int | None, kind: Kind, preprocessing: Preprocessing) -> int:
    """Return how many images of a source an encoder learns from, at the most; none if it learns nothing."""
    if kind.learns_from == "nothing":
        return 0
    held = kind.most_images if kind.streams else MOST_HELD // math.prod(preprocessing.shape)
    return min(items_to_take(source, limit), kind.most_images, held)


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
) -> Ready:
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
    Ready

    Raises
    ------
    SourceError
        No picture of the source can be read, or it has no labels to learn from.
    KeyboardInterrupt
        After Ctrl-C; the same call continues after the last complete epoch.
    """
    sample = plan.sample or take_sample(source, plan.kind, plan.size, keep_pixels=_may_learn(plan.kind))
    kind, recipe = sample.kind, plan.recipe if plan.kind else sample.kind.recipe(**plan.options)
    lesson = _Lesson(models, name, source, kind, recipe, sample.preprocessing, in_use, retrain, progress)
    ready = (_from_stream if kind.streams else _from_images)(lesson, sample, limit)
    return replace(ready, usual_for="" if plan.kind else str(sample.traits))


@dataclass(frozen=True)
class _Lesson:
    """An encoder to learn, and where it goes; parameters as of `train_bundle`."""

    models: Path
    name: str
    source: Source
    kind: Kind
    recipe: Any
    preprocessing: Preprocessing
    in_use: Collection[str]
    retrain: bool
    progress: Progress

    @property
    def decided(self) -> dict[str, Any]:
        """What decides the encoder besides preprocessing and pictures, as JSON values."""
        described = self.kind.describe(self.recipe)
        return {**described, "recipe": self.kind.non_defaults(described["recipe"])}

    @property
    def checkpoint(self) -> Path:
        """Where a long training stores its state."""
        return self.models / f".{self.name}.training.npz"

    def known(self, identity: str) -> Bundle | None:
        """Return a bundle that learning would make again."""
        for found in bundles(self.models):
            stem = found.name.rpartition("-")[0]
            own = self.name in (found.name, stem) and found.name not in self.in_use
            if (own or not self.retrain) and self._is_same(found, identity) and found.loads():
                return found
        return None

    def _is_same(self, bundle: Bundle, identity: str) -> bool:
        if bundle.metadata.get("training") == identity:
            return True
        # An encoder that learns nothing does not depend on pictures; older bundles were identified by them
        # nevertheless.
        recipe = self.kind.non_defaults(bundle.metadata.get("recipe") or {})
        facts = {**{name: bundle.metadata.get(name) for name in ("encoder", "revision")}, "recipe": recipe}
        nothing = self.kind.learns_from == "nothing"
        return nothing and facts == self.decided and bundle.preprocessing == self.preprocessing

    def learn(self, examples: Examples) -> tuple[Learned, float]:
        """Return what is learned, and how many seconds that took, interrupted parts included."""
        self.models.mkdir(parents=True, exist_ok=True)
        clock = time.perf_counter()
        learned = self.kind.method.learn(examples, self.recipe, checkpoint=self.checkpoint, progress=self.progress)
        return learned, time.perf_counter() - clock + (learned.history.resumed if learned.history else 0)

    def fingerprint(self, learned: Learned) -> str:
        """Return the fingerprint that the bundle would have."""
        return fingerprint_of(learned, self.preprocessing, self.kind.describe(self.recipe))

    def write(self, learned: Learned, identity: str, images: int, seconds: float) -> Bundle:
        """Write the bundle."""
        self.progress("export", 0, None)
        write = partial(
            write_bundle,
            learned=learned,
            preprocessing=self.preprocessing,
            described=self.kind.describe(self.recipe),
            trained_on=str(self.source),
            training=identity,
            images=images,
            seconds=seconds,
        )
        bundle = installed(self.models, self.name, None, write)
        for left_over in self.models.glob(f"{self.checkpoint.stem}*{self.checkpoint.suffix}"):
            left_over.unlink()
        self.progress("export", 1, 1)
        return bundle


def _from_images(lesson: _Lesson, sample: Sample, limit: int | None) -> Ready:
    """Learn from all pictures at once, if from any."""
    source, kind = lesson.source, lesson.kind
    images, labels = np.empty((0, *lesson.preprocessing.shape), np.uint8), None
    if kind.learns_from != "nothing":
        count = images_to_learn(source, limit, kind, lesson.preprocessing)
        if count < len(source):  # the sample's numbers are those of other items then
            source, sample = source.limited(count), replace(sample, pixels={}, hashes={})
        items, images = _pixels(source.items(), count, sample, lesson.progress)
        _check_readable(len(images), source, count)
        labels = _classes(items, source, kind) if kind.learns_from == "labels" else None
    identity = _identity(lesson, images, labels)
    if found := lesson.known(identity):
        return Ready(found)
    held_out = partial(_held_out, source, lesson.preprocessing)
    learned, seconds = lesson.learn(Examples(images, labels, held_out))
    return Ready(lesson.write(learned, identity, len(images), seconds), trained=True)


def _from_stream(lesson: _Lesson, sample: Sample, limit: int | None) -> Ready:
    """Learn from pictures as they are opened; which ones they are is known only afterwards."""
    source, kind = lesson.source, lesson.kind
    count = items_to_take(source, limit)
    most = images_to_learn(source, limit, kind, lesson.preprocessing)
    stream = ExampleStream(source, count, most, sample, lesson.progress)
    none = np.empty((0, *lesson.preprocessing.shape), np.uint8)
    with closing(stream.blocks()) as blocks:
        learned, seconds = lesson.learn(Examples(none, blocks=blocks))
    _check_readable(stream.read, source, count)
    identity, made = _stream_identity(lesson, stream), stream.made(learned.features)
    if found := lesson.known(identity):
        # The same as was learned, unless the clock decided something, such as eight bits or float.
        return Ready(found, made=made if lesson.fingerprint(learned) == found.fingerprint else {})
    return Ready(lesson.write(learned, identity, stream.read, seconds), trained=True, made=made)


def _may_learn(kind: Kind | None) -> bool:
    return kind is None or kind.learns_from != "nothing"


def _check_readable(images: int, source: Source, count: int) -> None:
    if not images:
        raise SourceError(nothing_to_read(source, count))


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


def _stream_identity(lesson: _Lesson, stream: ExampleStream) -> str:
    """Return a hash of all that decides what is learned from a stream of images."""
    facts = [lesson.decided, lesson.preprocessing.describe(), stream.read, stream.digest]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _identity(lesson: _Lesson, images: np.ndarray, labels: np.ndarray | None) -> str:
    """Return a hash of all that decides what is learned: encoder, recipe, images and labels; 64 hexadecimal digits."""
    facts = [lesson.decided, lesson.preprocessing.describe(), images.shape]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()
