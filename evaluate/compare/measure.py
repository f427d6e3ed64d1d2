"""One encoder is measured: its collection is filled, queries are searched, the row is stored.

In: an encoder and what all encoders of a comparison have in common. Out: its
row, found or made. A row that is found costs no opening of a picture.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Generic

from cbir.collection.interface import Engine
from cbir.collection.metadata import Metadata
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, labelled
from cbir.core.settings import Settings
from cbir.evaluate.compare.entrants import Entrant
from cbir.evaluate.compare.judge import Judge, S
from cbir.evaluate.compare.pixels import SharedPixels
from cbir.evaluate.compare.row import Digests, Row, digest_of, digest_of_stored, find_row, store_row
from cbir.ingest.job import run
from cbir.ingest.learn import Plan, images_to_learn
from cbir.ingest.moved import known_in
from cbir.ingest.sources.catalogue import collection_name, picture_opener
from cbir.ingest.sources.source import Source
from cbir.model.bundle import Bundle
from cbir.model.bundles import bundle_of
from cbir.model.preprocessing import Preprocessing
from cbir.model.suited import ALL_TRAITS
from cbir.search.searcher import Searcher

#: Images that are encoded to measure the speed.
_TIMED = 1_000
#: Share of a source's images that an encoder must have learned from: some cannot be read, some were added since.
MIN_TRAINED_SHARE = 0.9


class Measurer(Generic[S]):
    """Makes the rows of one comparison.

    Parameters
    ----------
    settings : Settings
    engine : Engine
    source : Source
    judge : Judge
    limit : int, optional
        The most images to store.
    """

    def __init__(self, settings: Settings, engine: Engine, source: Source, judge: Judge[S], limit: int | None) -> None:
        self._settings = settings
        self._engine = engine
        self._source = source
        self._judge = judge
        self._limit = limit
        self._pixels = SharedPixels(source, limit)

    def rows(self, entrants: Sequence[Entrant], progress: Progress) -> tuple[list[Row[S]], dict[str, str]]:
        """Return the rows of all encoders, and why some gave none.

        Raises
        ------
        CbirError
            None of them gave one.
        """
        rows: list[Row[S]] = []
        failed: dict[str, str] = {}
        for entrant in entrants:
            try:
                rows.append(self.row(entrant, labelled(progress, entrant.label)))
            except CbirError as error:
                failed[entrant.label] = str(error)
        if not rows:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise CbirError(f"none of the encoders could be compared: {reasons}")
        return rows, failed

    def folder(self, rows: Sequence[Row[S]]) -> Path:
        """Return where a comparison of these rows is, and of no others."""
        facts = [self.digest, *([row.encoder, row.folder.name, row.stored_as()] for row in rows)]
        identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        return self._settings.runs / f"compare-{collection_name(str(self._source))}-{identity}"

    def row(self, entrant: Entrant, progress: Progress) -> Row[S]:
        """Return an encoder's row.

        Raises
        ------
        CbirError
            The encoder cannot be learned, or its collection was filled in another way.
        """
        name = entrant.collection(self._source, self._limit)
        exists = self._engine.exists(name)
        if exists:
            folder = self._folder(name, self._bundle(entrant, name))
            found = find_row(folder, self._digests(name), self._judge.read)
            if found is not None:
                return replace(found, encoder=entrant.label)
        self._judge.prepare(entrant)
        sample = self._pixels.sample(entrant.kind, learning=not exists, progress=progress)
        if exists:
            self._bundle(entrant, name, sample.preprocessing)
        run(
            self._source,
            name,
            self._engine,
            self._settings.models,
            Plan(entrant.kind, entrant.recipe, sample=sample),
            require_plan=True,
            add_source=False,
            limit=self._limit,
            asked=False,
            progress=progress,
        )
        return self._measured(entrant, name, self._bundle(entrant, name, sample.preprocessing), progress)

    def _measured(self, entrant: Entrant, name: str, bundle: Bundle, progress: Progress) -> Row[S]:
        folder = self._folder(name, bundle)
        digests = self._digests(name)  # before it is measured: what is added meanwhile makes another row
        open_picture = picture_opener(self._settings.data, self._settings.cache)
        with Searcher(self._engine, name, bundle, open_picture) as searcher:
            present = known_in(self._engine, name, searcher.metadata, self._source).items()
            points = searcher.collection.count()
            scores = self._judge.measured(searcher, entrant, present, folder, progress)
        row = Row(
            encoder=entrant.label,
            collection=name,
            fingerprint=bundle.fingerprint,
            recipe=bundle.metadata["recipe"],
            points=points,
            values=bundle.dimension,
            train_seconds=bundle.metadata.get("seconds"),
            images_per_second=self._speed(entrant, bundle, progress),
            scores=scores,
            folder=folder,
        )
        store_row(row, digests)
        return row

    @cached_property
    def digest(self) -> str:
        """Which images there are to store and to ask for, as far as is known without opening one."""
        return digest_of(islice(self._source.items(), self._limit), self._source.queries())

    def _digests(self, name: str) -> Digests:
        """Return what a row is measured on."""
        with closing(self._engine.open(name)) as collection:
            return {"source": self.digest, "stored": digest_of_stored(collection)}

    def _folder(self, name: str, bundle: Bundle) -> Path:
        """Return where the row is, if there is one: of this engine's collection, encoder, and options."""
        facts = self._judge.facts
        chosen = {**facts, "location": self._settings.qdrant_url and self._engine.location}
        identity = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
        words = [name, bundle.fingerprint, facts["queries"], facts["seed"], identity]
        return self._settings.runs / "-".join(map(str, words))

    def _speed(self, entrant: Entrant, bundle: Bundle, progress: Progress) -> float:
        """Return the images encoded a second."""
        encoder = bundle.encoder()
        pixels = self._pixels.some(entrant.kind, _TIMED, progress)
        encoder.encode(pixels[:256])  # the first call allocates memory
        clock = time.perf_counter()
        encoder.encode(pixels)
        return len(pixels) / (time.perf_counter() - clock)

    def _bundle(self, entrant: Entrant, name: str, preprocessing: Preprocessing | None = None) -> Bundle:
        """Return the collection's model.

        Raises
        ------
        CbirError
            It is not on this machine, or something is not as this comparison would fill the collection.
        """
        metadata = self._engine.metadata(name)
        if set(metadata.sources) != set(known_in(self._engine, name, metadata, self._source).names):
            places = ", ".join(map(metadata.place, metadata.sources))
            raise CbirError(
                f"collection '{name}' holds {places}, not {self._source} alone; "
                "rename the folder of pictures, or remove that collection"
            )
        bundle = bundle_of(self._settings.models, name, metadata.model, metadata.fingerprint)
        images = images_to_learn(self._source, self._limit, entrant.kind, bundle.preprocessing)
        if reason := mismatch(entrant, bundle, metadata, images, preprocessing):
            raise CbirError(f"collection '{name}' {reason}; {entrant.advice(self._source, self._limit)}")
        return bundle


def mismatch(
    entrant: Entrant, bundle: Bundle, metadata: Metadata, images: int, preprocessing: Preprocessing | None
) -> str:
    """Return how a collection differs from what a comparison would fill; empty if it does not.

    Parameters
    ----------
    entrant : Entrant
    bundle : Bundle
    metadata : Metadata
    images : int
        Of the source, to learn from.
    preprocessing : Preprocessing or None
        What suits the source; None: not known, as no picture was opened.
    """
    kind, learned = entrant.kind, bundle.metadata
    described = json.loads(json.dumps(kind.describe(entrant.recipe)))
    same = all(learned.get(fact) == described[fact] for fact in ("encoder", "revision"))
    if not same or kind.non_defaults(learned.get("recipe") or {}) != kind.non_defaults(described["recipe"]):
        return "was filled by another encoder or recipe"
    if metadata.smooth:
        return f"was filled with --smooth {metadata.smooth}"
    seen = bundle.preprocessing
    if preprocessing is not None and seen.height != preprocessing.height:
        side, usual = seen.height, preprocessing.height
        return f"sees pictures at {side}x{side}, where {usual}x{usual} suits them"
    possible = [kind.preprocessing(traits.input()) for traits in ALL_TRAITS]
    suited = [preprocessing] if preprocessing else [each for each in possible if each.shape == seen.shape]
    if suited and seen not in suited:
        facts, others = asdict(seen), asdict(suited[0])
        named = ", ".join(name for name, value in others.items() if facts[name] != value)
        return f"sees pictures in another way than suits them now ({named})"
    if kind.learns_from != "nothing" and learned.get("images", images) < MIN_TRAINED_SHARE * images:
        return f"has an encoder that learned from {learned['images']:,} images, where there are {images:,} now"
    return ""
