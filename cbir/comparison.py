"""Several encoders on one source: the same queries, one table, one plot, one line-up.

In: a source and names of encoders. Out: a `Comparison`. Each encoder fills a
collection of its own, SOURCE-ENCODER, which is searched like any other. What
is measured once is stored beside the run and not measured again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir import homes
from cbir.api import keep, save_picture
from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError, flag
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings, settings

if TYPE_CHECKING:
    from cbir.collection.interface import Engine, Metadata
    from cbir.evaluate.scores import Scores
    from cbir.ingest.sources.source import Item, Source
    from cbir.model.bundle import Bundle
    from cbir.model.kind import Kind

#: Images that are encoded to measure the speed.
_TIMED = 2_000
_ROW = "row.json"
#: Share of a source that an encoder is to have learned from: some pictures cannot be read, some were added since.
_MOST = 0.9


@dataclass(frozen=True)
class Row:
    """What one encoder gave.

    Attributes
    ----------
    encoder : str
        As it was named, options and all.
    collection, fingerprint : str
    recipe : Mapping
        What it was learned by, seed included.
    points : int
        Images in the collection.
    values : int
        In a feature.
    train_seconds : float or None
        None for a model whose card does not tell.
    images_per_second : float
        Encoded, pixels at hand, on every core.
    scores : Scores
    folder : Path
        Run, scores and curve as `evaluate` stores them.
    """

    encoder: str
    collection: str
    fingerprint: str
    recipe: Mapping[str, Any]
    points: int
    values: int
    train_seconds: float | None
    images_per_second: float
    scores: Scores
    folder: Path

    @property
    def bytes_a_point(self) -> int:
        """Size of the vector as it is stored, float32."""
        return 4 * self.values


@dataclass(frozen=True)
class Comparison:
    """Encoders side by side.

    Attributes
    ----------
    source : str
    rows : list of Row
        In the order the encoders were named.
    failed : dict of str to str
        Encoders that gave no row, and why.
    folder : Path
        Holds `table.md`, `curves.png` and `lineup.png`.
    leave_one_out : bool
        Nothing is held out: stored images are the queries, each left out of its own ranking.
    """

    source: str
    rows: list[Row]
    failed: dict[str, str]
    folder: Path
    leave_one_out: bool

    @property
    def title(self) -> str:
        """What was asked of what."""
        from cbir.evaluate.run import headline

        row = self.rows[0]
        return headline(Path(self.source).name, row.points, row.scores.queries, leave_one_out=self.leave_one_out)

    @property
    def curves(self) -> Path:
        """LRAP against depth, a line an encoder, a PNG."""
        return self.folder / "curves.png"

    @property
    def lineup(self) -> Path:
        """The same queries and what each encoder finds, a PNG."""
        return self.folder / "lineup.png"

    @property
    def table(self) -> Path:
        """The table, Markdown."""
        return self.folder / "table.md"


def compare(
    source: str | Path = "digits",
    encoders: Sequence[str] = (),
    *,
    queries: int = 1000,
    seed: int = 0,
    training_seed: int | None = None,
    limit: int | None = None,
    save: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Comparison:
    """Train, ingest and evaluate what has not been yet, and put all side by side.

    Parameters
    ----------
    source : str or Path
        `digits`, `mnist`, `fashion-mnist`, or a folder of pictures with labels.
    encoders : sequence of str
        Names of the registry, each with options of its own if you like, such as `autoencoder:epochs=5,seed=1`;
        by default all that the source allows.
    queries : int
        The most queries.
    seed : int
        Draws the queries.
    training_seed : int, optional
        Seeds those encoders that have a seed; their own default if it is not given.
    limit : int, optional
        The most images to take.
    save : str or Path, optional
        A folder to copy table and pictures to.
    qdrant_url : str, optional
        Fill collections on this server; by default `QDRANT_URL`, and embedded if that is not set.
    data_dir : str or Path, optional
        Where `mnist` and `fashion-mnist` lie.
    progress : callable
    **options
        Of the encoders, such as `epochs`, each for those that have it.

    Returns
    -------
    Comparison
        An encoder that fails is in `failed` and does not stop the others.

    Raises
    ------
    CbirError
        No such source or encoder, no labels, or not one encoder gave a row.
    """
    from cbir.ingest.sources.catalogue import open_source

    if limit is not None and limit < 1:
        raise CbirError(f"limit must be at least 1, not {limit}")
    where = settings(data_dir, qdrant_url)
    opened = open_source(str(source), where.data, where.cache)
    entrants = _entrants(opened, encoders, {**options, "seed": training_seed})
    rows: list[Row] = []
    failed: dict[str, str] = {}
    with closing(homes.engine(where)) as engine, disk_errors(where.home):
        task = _Task(where, engine, opened, queries, seed, limit)
        for entrant in entrants:
            try:
                rows.append(task.row(entrant, _named(entrant.label, progress)))
            except CbirError as error:
                failed[entrant.label] = str(error)
        if not rows:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise CbirError(f"not one encoder could be compared: {reasons}")
        comparison = _drawn(where, opened, rows, failed)
    if save is not None:
        _copied(comparison, Path(save).expanduser().absolute())
    return comparison


@dataclass(frozen=True)
class _Task:
    """What all rows have in common."""

    where: Settings
    engine: Engine
    source: Source
    queries: int
    seed: int
    limit: int | None

    def row(self, entrant: _Entrant, progress: Progress) -> Row:
        """Find an encoder's row, or make it.

        Raises
        ------
        CbirError
            The encoder cannot be had, or its collection is something else's.
        """
        from cbir.ingest.job import run
        from cbir.ingest.learn import Plan

        filled = _Filled(entrant, _collection(self.source, entrant, self.limit), self.limit)
        if filled.name in self.engine.names():
            known = _read_row(self._folder(filled), self._size)
            if known is not None:
                return replace(known, encoder=entrant.label)
        held_out = self._held_out  # what is wrong with them is to be told before hours of training
        if entrant.kind.learns_from == "labels" and not held_out:
            raise CbirError(
                f"it learns the labels of the very images it would be asked about: {self.source.name} holds none out"
            )
        plan = Plan(entrant.kind, entrant.recipe)
        run(
            self.source,
            filled.name,
            self.engine,
            self.where.models,
            plan,
            insist=True,
            limit=self.limit,
            progress=progress,
        )
        return self._measured(filled, held_out, progress)

    def _measured(self, filled: _Filled, held_out: Sequence[Item], progress: Progress) -> Row:
        from cbir.evaluate.heldout import left_behind
        from cbir.evaluate.protocol import evaluate
        from cbir.ingest.sources.catalogue import picture_opener
        from cbir.search.searcher import Searcher

        folder = self._folder(filled)
        bundle = filled.bundle(self.where, self.engine, self.source)
        speed = self._speed(bundle)
        with Searcher(self.engine, filled.name, bundle, picture_opener(self.where.data, self.where.cache)) as searcher:
            if held_out and (gone := left_behind(searcher.collection, self.source.items())):
                raise CbirError(
                    f"collection '{filled.name}' holds {gone:,} picture(s) that {self.source.name} no longer has, "
                    f"which may be among the queries; build it anew: {filled.command(self.source)}"
                )
            ranked = evaluate(searcher, held_out, queries=self.queries, seed=self.seed, progress=progress)
        row = Row(
            encoder=filled.entrant.label,
            collection=filled.name,
            fingerprint=bundle.fingerprint,
            recipe=bundle.card["recipe"],
            points=ranked.database,
            values=bundle.dimension,
            train_seconds=bundle.card.get("seconds"),
            images_per_second=speed,
            scores=keep(ranked, folder).scores,
            folder=folder,
        )
        _write_row(row, self._size)
        return row

    @property
    def _items(self) -> Iterator[Item]:
        return islice(self.source.items(), self.limit)

    @functools.cached_property
    def _held_out(self) -> list[Item]:
        from cbir.evaluate.heldout import disjoint

        return disjoint(self.source.queries(), self._items)

    @functools.cached_property
    def _size(self) -> list[int]:
        """Images to store, and images held out: a row of other numbers is another's."""
        return [min(len(self.source), self.limit or len(self.source)), len(self.source.queries())]

    def _folder(self, filled: _Filled) -> Path:
        """Where the row is, if the collection has not changed."""
        fingerprint = filled.bundle(self.where, self.engine, self.source).fingerprint
        with closing(self.engine.open(filled.name)) as collection:
            points = collection.count()
        return self.where.runs / f"{filled.name}-{fingerprint}-{points}-{self.queries}-{self.seed}"

    def _speed(self, bundle: Bundle) -> float:
        """Return the images encoded a second."""
        from cbir.ingest.read import read

        encoder = bundle.encoder()
        batches = [batch.pixels for batch in read(islice(self._items, _TIMED), bundle.preprocessing)]
        encoder.encode(batches[0])  # the first time, memory is got
        clock = time.perf_counter()
        for pixels in batches:
            encoder.encode(pixels)
        return sum(map(len, batches)) / (time.perf_counter() - clock)


@dataclass(frozen=True)
class _Filled:
    """A collection that one entrant fills from one source."""

    entrant: _Entrant
    name: str
    limit: int | None

    def bundle(self, where: Settings, engine: Engine, source: Source) -> Bundle:
        """Return the collection's model.

        Raises
        ------
        CbirError
            It is not on this machine, or not this encoder learned by this recipe from most of this source, or the
            collection is smoothed, or not this source's alone.
        """
        metadata = engine.metadata(self.name)
        if set(metadata.sources) != {source.name}:
            raise CbirError(
                f"collection '{self.name}' holds {', '.join(metadata.sources)}, not {source.name} alone; "
                "rename the folder of pictures, or remove that collection"
            )
        bundle = homes.model(where, self.name, metadata)
        if reason := self._otherwise(bundle, metadata, source):
            raise CbirError(f"collection '{self.name}' {reason}; build it anew: {self.command(source)}")
        return bundle

    def _otherwise(self, bundle: Bundle, metadata: Metadata, source: Source) -> str | None:
        """Tell what makes the collection another than `compare` would fill; None if nothing does."""
        from cbir.ingest.learn import TRAIN_AT_MOST, preprocessing_for

        kind, card = self.entrant.kind, bundle.card
        described = json.loads(json.dumps(kind.describe(self.entrant.recipe)))
        same = all(card.get(fact) == described[fact] for fact in ("encoder", "revision"))
        if not same or kind.non_defaults(card.get("recipe") or {}) != kind.non_defaults(described["recipe"]):
            return "was filled by another encoder or recipe"
        if metadata.smooth:
            return f"was filled with --smooth {metadata.smooth}"
        if (side := bundle.preprocessing.height) != (usual := preprocessing_for(source).height):
            return f"sees pictures at {side}x{side}, where {usual}x{usual} suits them"
        images = min(len(source), self.limit or len(source), TRAIN_AT_MOST)
        if kind.learns_from != "nothing" and card.get("images", images) < _MOST * images:
            return f"has an encoder that learned from {card['images']:,} images, where there are {images:,} now"
        return None

    def command(self, source: Source) -> str:
        """What builds the collection anew, as one types it."""
        options = {"limit": self.limit, **self.entrant.non_defaults, "smooth": 0}
        words = ["cbir", "ingest", source.name, "--collection", self.name, "--encoder", self.entrant.kind.name]
        for name, value in options.items():
            if value is not None:
                words += [flag(name), str(value)]
        return shlex.join([*words, "--retrain"])


@dataclass(frozen=True)
class _Entrant:
    """An encoder and how it is to be learned; `label` is how it was named."""

    label: str
    kind: Kind
    recipe: Any

    @property
    def non_defaults(self) -> dict[str, Any]:
        """The options that are not at their defaults."""
        return self.kind.non_defaults(asdict(self.recipe))


def _entrants(source: Source, named: Sequence[str], options: Mapping[str, Any]) -> list[_Entrant]:
    """Return the encoders that were named, or all that the source allows, each with those options that it has."""
    from cbir.model.registry import encoders as all_encoders
    from cbir.model.registry import parse_encoder

    labels = {item.label for item in source.items()}
    if labels == {None}:
        raise CbirError(
            f"{source.name} has no labels to compare encoders by; put the pictures into one folder per class"
        )
    if not named:
        learnable = None not in labels and bool(source.queries())
        named = [kind.name for kind in all_encoders() if kind.learns_from != "labels" or learnable]
    given = {option: value for option, value in options.items() if value is not None}
    entrants, used = [], {"seed"}
    for label in dict.fromkeys(named):
        kind, _ = parse_encoder(label)
        shared = {option: value for option, value in given.items() if option in kind.options}
        used |= shared.keys()
        entrants.append(_Entrant(label, *parse_encoder(label, shared)))
    for option in given:
        if option not in used:
            raise CbirError(f"not one of these encoders has an option '{option}'")
    return entrants


def _collection(source: Source, entrant: _Entrant, limit: int | None) -> str:
    """Name the collection: SOURCE-ENCODER, and what is not as usual, such as `mnist-autoencoder-seed-1`."""
    from cbir.ingest.sources.catalogue import collection_name

    chosen = {**({} if limit is None else {"limit": limit}), **entrant.non_defaults}
    words = [f"{option}-{value}".replace("_", "-") for option, value in chosen.items()]
    return "-".join([collection_name(source.name), entrant.kind.name, *words])


def _named(encoder: str, progress: Progress) -> Progress:
    """Say beside each stage whose it is."""
    return lambda stage, done, total, note="": progress(stage, done, total, ", ".join(filter(None, (encoder, note))))


def _write_row(row: Row, size: list[int]) -> None:
    """Write the row, last: where it is, the rest of its folder is whole."""
    document = {**asdict(row), "size": size}
    del document["folder"]
    write_atomic(row.folder / _ROW, (json.dumps(document, indent=2) + "\n").encode())


def _read_row(folder: Path, size: list[int]) -> Row | None:
    """Read a row; None if there is none, or one of a source that had other numbers of images."""
    from cbir.evaluate.scores import Scores

    try:
        stored = json.loads((folder / _ROW).read_text(encoding="utf-8"))
        if stored.pop("size") != size:
            return None
        measures = stored.pop("scores")
        # JSON's keys are texts, depths are numbers.
        depths = {name: {int(n): x for n, x in at.items()} for name, at in measures.items() if isinstance(at, dict)}
        return Row(**stored, scores=Scores(**{**measures, **depths}), folder=folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _drawn(where: Settings, source: Source, rows: list[Row], failed: dict[str, str]) -> Comparison:
    """Write table and pictures, where these rows have none yet."""
    from cbir.evaluate.draw.curve import curves
    from cbir.evaluate.draw.lineup import lineup
    from cbir.evaluate.run import load_run
    from cbir.ingest.sources.catalogue import collection_name
    from cbir.report import comparison_markdown

    name = collection_name(source.name)
    facts = [[row.encoder, row.folder.name, row.points, row.scores.queries] for row in rows]
    identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    held_out = any(query.label is not None for query in source.queries())
    comparison = Comparison(source.name, rows, failed, where.runs / f"compare-{name}-{identity}", not held_out)
    if not comparison.curves.exists():
        write_atomic(comparison.curves, curves({row.encoder: row.scores for row in rows}, comparison.title))
    if not comparison.lineup.exists():
        shown = {key: item for item in chain(source.items(), source.queries()) for key in (item.id, item.uri)}
        runs = {row.encoder: load_run(row.folder / "run.npz") for row in rows}
        save_picture(lineup(runs, shown), comparison.lineup)
    write_atomic(comparison.table, comparison_markdown(comparison).encode())
    return comparison


def _copied(comparison: Comparison, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CbirError(f"{folder} is a file; name a folder to copy table and pictures to")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (comparison.table, comparison.curves, comparison.lineup):
            shutil.copyfile(path, folder / path.name)
