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

from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError
from cbir.core.options import spell
from cbir.core.progress import Progress, labelled
from cbir.core.settings import Settings

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
    from cbir.collection.metadata import Metadata
    from cbir.evaluate.scores import Scores
    from cbir.ingest.sources.source import Item, Source
    from cbir.model.bundle import Bundle
    from cbir.model.kind import Kind

#: Images that are encoded to measure the speed.
_TIMED = 2_000
_ROW = "row.json"
#: Depths of a comparison's table, and all.
_COMPARED = (10, 100, 1_000, 10_000)
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
        from cbir.evaluate.run import run_title

        row = self.rows[0]
        return run_title(Path(self.source).name, row.points, row.scores.queries, leave_one_out=self.leave_one_out)

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

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of cells; an encoder that failed has empty ones."""
        depths = [n for n in _COMPARED if all(n < max(row.scores.lrap) for row in self.rows)]
        headings = [
            "encoder",
            *(f"LRAP\n@{n:,}" for n in depths),
            "LRAP\n@all",
            "mAP",
            "precision\n@1",
            "precision\n@10",
        ]
        headings += ["values", "bytes\na point", "train\nseconds", "images/s\nencoded"]
        rows = []
        for row in self.rows:
            scores = row.scores
            precision = scores.precision_at
            measures = [*(scores.lrap[n] for n in depths), scores.lrap[max(scores.lrap)], scores.map]
            measures += [precision[1], precision[min(10, max(precision))]]
            trained = "" if row.train_seconds is None else f"{row.train_seconds:,.1f}"
            costs = [f"{row.values:,}", f"{row.bytes_a_point:,}", trained, f"{row.images_per_second:,.0f}"]
            rows.append([row.encoder, *(f"{measure:.3f}" for measure in measures), *costs])
        return headings, rows + [[name, *[""] * (len(headings) - 1)] for name in self.failed]

    def markdown(self) -> str:
        """Return a comparison as a Markdown table."""
        headings, rows = self.cells()
        lines = [
            [heading.replace("\n@", "@").replace("\n", " ") for heading in headings],
            ["---"] * len(headings),
            *rows,
        ]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        return table + "".join(f"\n`{name}` failed: {reason}\n" for name, reason in self.failed.items())


def compare_encoders(
    source: Source,
    encoders: Sequence[str],
    options: Mapping[str, Any],
    engine: Engine,
    settings: Settings,
    *,
    queries: int,
    seed: int,
    limit: int | None,
    progress: Progress,
) -> Comparison:
    """Train, ingest and evaluate what has not been yet, and put all side by side.

    Parameters
    ----------
    source : Source
    encoders : sequence of str
        As `cbir.compare` takes them.
    options : Mapping
        Of all encoders that have them; those that are None do not count.
    engine : Engine
    settings : Settings
    queries, seed, limit, progress
        As for `cbir.compare`.

    Returns
    -------
    Comparison

    Raises
    ------
    CbirError
        No such encoder, no labels, or not one encoder gave a row.
    """
    entrants = _entrants(source, encoders, options)
    rows: list[Row] = []
    failed: dict[str, str] = {}
    task = _Task(settings, engine, source, queries, seed, limit)
    for entrant in entrants:
        try:
            rows.append(task.row(entrant, labelled(progress, entrant.label)))
        except CbirError as error:
            failed[entrant.label] = str(error)
    if not rows:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise CbirError(f"not one encoder could be compared: {reasons}")
    return _drawn(settings, engine, source, rows, failed)


@dataclass(frozen=True)
class _Task:
    """What all rows have in common."""

    settings: Settings
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
        if self.engine.exists(filled.name):
            known = _read_row(self._folder(filled), self._size)
            if known is not None:
                return replace(known, encoder=entrant.label)
        held_out = self._held_out  # what is wrong with them is to be told before hours of training
        if entrant.kind.learns_from == "labels" and not held_out:
            raise CbirError(
                f"it learns the labels of the very images it would be asked about: {self.source} holds none out"
            )
        plan = Plan(entrant.kind, entrant.recipe)
        run(
            self.source,
            filled.name,
            self.engine,
            self.settings.models,
            plan,
            require_plan=True,
            limit=self.limit,
            progress=progress,
        )
        return self._measured(filled, held_out, progress)

    def _measured(self, filled: _Filled, held_out: Sequence[Item], progress: Progress) -> Row:
        from cbir.evaluate.evaluation import store_evaluation
        from cbir.evaluate.heldout import left_behind
        from cbir.evaluate.options import EvaluationOptions
        from cbir.evaluate.protocol import evaluate
        from cbir.ingest.roots import known_as
        from cbir.ingest.sources.catalogue import picture_opener
        from cbir.search.searcher import Searcher

        folder = self._folder(filled)
        bundle = filled.bundle(self.settings, self.engine, self.source)
        speed = self._speed(bundle)
        with Searcher(
            self.engine, filled.name, bundle, picture_opener(self.settings.data, self.settings.cache)
        ) as searcher:
            stored = known_as(self.source, searcher.metadata).items()
            if held_out and (gone := left_behind(searcher.collection, stored)):
                raise CbirError(
                    f"collection '{filled.name}' holds {gone:,} picture(s) that {self.source} no longer has, "
                    f"which may be among the queries; build it anew: {filled.command(self.source)}"
                )
            options = EvaluationOptions(queries=self.queries, seed=self.seed)
            ranked = evaluate(searcher, held_out, options, progress=progress)
        row = Row(
            encoder=filled.entrant.label,
            collection=filled.name,
            fingerprint=bundle.fingerprint,
            recipe=bundle.metadata["recipe"],
            points=ranked.database,
            values=bundle.dimension,
            train_seconds=bundle.metadata.get("seconds"),
            images_per_second=speed,
            scores=store_evaluation(ranked, folder).scores,
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
        fingerprint = filled.bundle(self.settings, self.engine, self.source).fingerprint
        with closing(self.engine.open(filled.name)) as collection:
            points = collection.count()
        return self.settings.runs / f"{filled.name}-{fingerprint}-{points}-{self.queries}-{self.seed}"

    def _speed(self, bundle: Bundle) -> float:
        """Return the images encoded a second."""
        import numpy as np

        from cbir.core.workers import batched
        from cbir.ingest.read import BATCH, read_pixels

        encoder = bundle.encoder()
        pictures = read_pixels(islice(self._items, _TIMED), bundle.preprocessing)
        batches = [np.stack(batch) for batch in batched((p for _, p in pictures if p is not None), BATCH)]
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

    def bundle(self, settings: Settings, engine: Engine, source: Source) -> Bundle:
        """Return the collection's model.

        Raises
        ------
        CbirError
            It is not on this machine, or not this encoder learned by this recipe from most of this source, or the
            collection is smoothed, or not this source's alone.
        """
        from cbir.ingest.roots import known_as
        from cbir.model.bundles import bundle_of

        metadata = engine.metadata(self.name)
        if set(metadata.sources) != {known_as(source, metadata).name}:
            places = ", ".join(metadata.roots.get(name, name) for name in metadata.sources)
            raise CbirError(
                f"collection '{self.name}' holds {places}, not {source} alone; "
                "rename the folder of pictures, or remove that collection"
            )
        bundle = bundle_of(settings.models, self.name, metadata.model, metadata.fingerprint)
        if reason := self._otherwise(bundle, metadata, source):
            raise CbirError(f"collection '{self.name}' {reason}; build it anew: {self.command(source)}")
        return bundle

    def _otherwise(self, bundle: Bundle, metadata: Metadata, source: Source) -> str | None:
        """Tell what makes the collection another than `compare` would fill; None if nothing does."""
        from cbir.ingest.learn import MAX_TRAINING_IMAGES
        from cbir.ingest.sample import take_sample

        kind, card = self.entrant.kind, bundle.metadata
        described = json.loads(json.dumps(kind.describe(self.entrant.recipe)))
        same = all(card.get(fact) == described[fact] for fact in ("encoder", "revision"))
        if not same or kind.non_defaults(card.get("recipe") or {}) != kind.non_defaults(described["recipe"]):
            return "was filled by another encoder or recipe"
        if metadata.smooth:
            return f"was filled with --smooth {metadata.smooth}"
        if (side := bundle.preprocessing.height) != (usual := take_sample(source, kind).preprocessing.height):
            return f"sees pictures at {side}x{side}, where {usual}x{usual} suits them"
        images = min(len(source), self.limit or len(source), MAX_TRAINING_IMAGES)
        if kind.learns_from != "nothing" and card.get("images", images) < _MOST * images:
            return f"has an encoder that learned from {card['images']:,} images, where there are {images:,} now"
        return None

    def command(self, source: Source) -> str:
        """What builds the collection anew, as one types it."""
        limit = [] if self.limit is None else ["--limit", str(self.limit)]
        encoder = spell(self.entrant.kind.name, self.entrant.non_defaults)
        words = ["cbir", "ingest", str(source), "--collection", self.name, "--encoder", encoder]
        return shlex.join([*words, *limit, "--smooth", "0", "--retrain"])


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
        raise CbirError(f"{source} has no labels to compare encoders by; put the pictures into one folder per class")
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
    return "-".join([collection_name(str(source)), entrant.kind.name, *words])


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


def _drawn(settings: Settings, engine: Engine, source: Source, rows: list[Row], failed: dict[str, str]) -> Comparison:
    """Write table and pictures, where these rows have none yet."""
    from cbir.evaluate.draw.curve import curves
    from cbir.evaluate.draw.lineup import lineup
    from cbir.evaluate.run import load_run
    from cbir.ingest.roots import known_as
    from cbir.ingest.sources.catalogue import collection_name
    from cbir.search.sheet import save_picture

    name = collection_name(str(source))
    facts = [[row.encoder, row.folder.name, row.points, row.scores.queries] for row in rows]
    identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    held_out = any(query.label is not None for query in source.queries())
    comparison = Comparison(str(source), rows, failed, settings.runs / f"compare-{name}-{identity}", not held_out)
    if not comparison.curves.exists():
        write_atomic(comparison.curves, curves({row.encoder: row.scores for row in rows}, comparison.title))
    if not comparison.lineup.exists():
        # By id in each collection, and queries by uri.
        known = {found.name: found for found in (known_as(source, engine.metadata(row.collection)) for row in rows)}
        items = chain(*(chain(found.items(), found.queries()) for found in known.values()))
        shown = {key: item for item in items for key in (item.id, item.uri)}
        runs = {row.encoder: load_run(row.folder / "run.npz") for row in rows}
        save_picture(lineup(runs, shown), comparison.lineup)
    write_atomic(comparison.table, comparison.markdown().encode())
    return comparison


def copy_comparison(comparison: Comparison, folder: Path) -> None:
    """Copy table and pictures to a folder; CbirError if it is a file."""
    if folder.exists() and not folder.is_dir():
        raise CbirError(f"{folder} is a file; name a folder to copy table and pictures to")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (comparison.table, comparison.curves, comparison.lineup):
            shutil.copyfile(path, folder / path.name)
