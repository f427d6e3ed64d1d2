"""What cbir does, as functions: the same that the command line uses.

Each function takes names and paths, finds the rooms' pieces, joins them, and
returns plain results. Heavy imports happen inside the function that needs them.
"""

from __future__ import annotations

import io
import json
import operator
import warnings
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir import homes
from cbir.core.atomic import write_atomic
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError, CbirWarning, first_line
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings, settings

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cbir.collection.interface import Info, Metadata
    from cbir.evaluate.run import Run
    from cbir.evaluate.scores import Scores
    from cbir.ingest.job import Report
    from cbir.ingest.sources.source import Item, Source
    from cbir.model.bundle import Bundle
    from cbir.model.picture import Preprocessing
    from cbir.search.searcher import Searcher


def ingest(
    source: str | Path = "digits",
    *,
    collection: str | None = None,
    model: str | Path | None = None,
    retrain: bool = False,
    encoder: str | None = None,
    size: int | None = None,
    limit: int | None = None,
    smooth: int | None = None,
    index: bool | None = None,
    qdrant_url: str | None = None,
    quantization: str | None = None,
    on_disk: bool = False,
    shards: int | None = None,
    replicas: int | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Report:
    """Fill a collection from a source, training an encoder if it has none.

    Parameters
    ----------
    source : str or Path
        `digits`, `mnist`, `fashion-mnist`, or a folder of pictures.
    collection : str, optional
        The source's name by default.
    model : str or Path, optional
        A model bundle, or a `.keras` or `.h5` file with a layer `encoder`.
    retrain : bool
        Train again and build the collection anew; the old one serves until then.
    encoder : str, optional
        Which encoder to learn, a name of `cbir.encoders()`; by default the one that filled the collection,
        and `contrastive` for a new one.
    size : int, optional
        Height and width of the encoder's input; by default what suits the pictures.
    limit : int, optional
        The most images to take.
    smooth : int, optional
        Store each feature averaged with those of so many nearest images (see `cbir.ingest.smooth`); by default
        as the collection has it, and not at all in a new one.
    index : bool, optional
        Build the HNSW index or do not; by default when it pays.
    qdrant_url : str, optional
        Fill a collection on this server; by default `QDRANT_URL`, and embedded if that is not set.
        Its key comes from `QDRANT_API_KEY`.
    quantization : {'int8', 'binary', 'turbo'}, optional
        Have a server search smaller copies of the vectors; for a new collection.
    on_disk : bool
        Have a server leave the vectors on disk; for a new collection.
    shards, replicas : int, optional
        How a cluster spreads and copies them; for a new collection.
    data_dir : str or Path, optional
        Where `mnist` and `fashion-mnist` lie.
    progress : callable
    **options
        The encoder's own, such as `epochs`, `batch_size`, `noise` (a standard deviation), `seed` and `bits`.

    Returns
    -------
    cbir.ingest.job.Report

    Raises
    ------
    CbirError
        With a message for people.
    """
    from cbir.collection.served.layout import Layout
    from cbir.ingest.job import run
    from cbir.ingest.learn import Plan
    from cbir.ingest.sources.catalogue import collection_name, open_source
    from cbir.model.registry import DEFAULT, parse_encoder

    if limit is not None and limit < 1:
        raise CbirError(f"limit must be at least 1, not {limit}")
    if smooth is not None and smooth < 0:
        raise CbirError(f"smooth must be at least 0, not {smooth}")
    if model is not None and retrain:
        raise CbirError("a model to use and training again exclude each other; name one of --model and --retrain")
    where = settings(data_dir, qdrant_url)
    layout = Layout(quantization, on_disk, shards, replicas)
    opened = open_source(str(source), where.data, where.cache)
    name = collection_name(str(source)) if collection is None else collection
    with closing(homes.engine(where, layout)) as engine, disk_errors(where.home):
        given = {option: value for option, value in options.items() if value is not None}
        kind, recipe = parse_encoder(encoder or homes.kind(where, name, engine) or DEFAULT, given)
        plan = Plan(kind, recipe, size)
        if collection is None and not retrain and name in engine.names():
            _check_source(name, opened.name, engine.metadata(name).sources)
        if not retrain:
            homes.warn_of_unused(layout, name, engine)
        return run(
            opened,
            name,
            engine,
            where.models,
            plan,
            model=Path(model) if model is not None else None,
            retrain=retrain,
            insist=encoder is not None or size is not None,
            limit=limit,
            smooth=smooth,
            index=index,
            progress=progress,
        )


def _check_source(name: str, source: str, known: Sequence[str]) -> None:
    """Refuse to mix sources in a collection that was not named."""
    if known and source not in known:
        raise CbirError(
            f"collection '{name}' holds {', '.join(known)}; name another for {source} with --collection, "
            f"or add to this one with: --collection {name}"
        )


def open(  # noqa: A001
    collection: str | None = None, *, qdrant_url: str | None = None, data_dir: str | Path | None = None
) -> Searcher:
    """Open a collection to search it.

    Parameters
    ----------
    collection : str, optional
        By default the only one there is, else the one ingested last.
    qdrant_url : str, optional
        The server to ask; by default `QDRANT_URL`.
    data_dir : str or Path, optional
        Where `mnist` and `fashion-mnist` lie, for queries such as `mnist:test/7`.

    Returns
    -------
    cbir.search.searcher.Searcher
        Close it, or use it in a `with`.

    Raises
    ------
    CbirError
        No such collection, or its model is missing.
    """
    from cbir.ingest.sources.catalogue import picture_opener
    from cbir.search.searcher import Searcher

    where = settings(data_dir, qdrant_url)
    engine = homes.engine(where)
    try:
        name = homes.named(engine, collection)
        bundle = homes.model(where, name, engine.metadata(name))
        return Searcher(engine, name, bundle, picture_opener(where.data, where.cache))
    except BaseException:
        engine.close()
        raise


@dataclass(frozen=True)
class Evaluation:
    """A scored run.

    Attributes
    ----------
    run : Run
    scores : Scores
    run_file : Path
        The stored run.
    folder : Path
        Holds `scores.json` and `curve.png`.
    """

    run: Run
    scores: Scores
    run_file: Path
    folder: Path

    @property
    def curve(self) -> Path:
        """The score curve, a PNG."""
        return self.folder / "curve.png"

    def as_json(self) -> dict[str, Any]:
        """Return the scores as JSON values; keys of depths are strings."""
        table = {k: _string_keys(v) for k, v in asdict(self.scores).items()}
        queries = table.pop("queries")
        return {
            "collection": self.run.collection,
            "database": self.run.database,
            "queries": queries,
            **table,
            "leave_one_out": bool(self.run.about.get("leave_one_out")),
            "expand": self.run.about.get("expand", 0),
            "rerank": self.run.about.get("rerank", False),
            "smooth": self.run.about.get("smooth", 0),
            "seed": self.run.about.get("seed"),
            "fingerprint": self.run.about.get("fingerprint"),
            "distortion": self.run.about.get("distortion"),
            "run": str(self.run_file),
            "curve": str(self.curve),
        }


def evaluate(
    collection: str | None = None,
    *,
    queries: int = 1000,
    depths: Sequence[int] | None = None,
    seed: int = 0,
    expand: int = 0,
    rerank: bool = False,
    from_run: str | Path | None = None,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Search held-out queries, store the run, score it, draw the curve.

    Parameters
    ----------
    collection : str, optional
        By default the only one there is, else the one ingested last.
    queries : int
        The most queries.
    depths : sequence of int, optional
        Numbers of results to assess; the article's by default.
    seed : int
        Draws the queries.
    expand, rerank
        Search as `cbir.search.searcher.Searcher.search` does with these.
    from_run : str or Path, optional
        Score this stored run (or its folder) again, into a new folder; nothing is searched.
    qdrant_url : str, optional
        The server to ask; by default `QDRANT_URL`.
    data_dir : str or Path, optional
        Where `mnist` and `fashion-mnist` lie.
    progress : callable

    Returns
    -------
    Evaluation

    Raises
    ------
    CbirError
        No labels, no queries, no such run.
    """
    from cbir.evaluate.protocol import evaluate as search_queries
    from cbir.evaluate.run import load_run
    from cbir.evaluate.scores import check_depths

    where = settings(data_dir, qdrant_url)
    wanted = None if depths is None else [operator.index(depth) for depth in depths]
    check_depths(wanted or ())
    path = None
    if from_run is not None:
        path = Path(from_run).expanduser().absolute()
        path = path / "run.npz" if path.is_dir() else path
        run = load_run(path)
    else:
        with open(collection, qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
            run = search_queries(
                searcher,
                held_out(searcher, where),
                queries=queries,
                seed=seed,
                expand=expand,
                rerank=rerank,
                progress=progress,
            )
            warn_of_own(searcher, run)
    return keep(run, run_folder(where, run.collection), wanted, path)


def keep(run: Run, folder: Path, depths: Sequence[int] | None = None, path: Path | None = None) -> Evaluation:
    """Score a run and write run, scores and curve.

    Parameters
    ----------
    run : Run
    folder : Path
        Made if it is not there.
    depths : sequence of int, optional
        The article's by default.
    path : Path, optional
        Where the run is stored already.
    """
    from cbir.evaluate.draw.curve import curve
    from cbir.evaluate.run import headline, save_run
    from cbir.evaluate.scores import score

    with disk_errors(folder):
        if path is None:
            path = folder / "run.npz"
            save_run(run, path)
        scores = score(run, depths)
        evaluation = Evaluation(run, scores, path, folder)
        document = json.dumps(evaluation.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomic(folder / "scores.json", document.encode())
        title = headline(run.collection, run.database, len(run))
        write_atomic(evaluation.curve, curve(scores, title))
    return evaluation


def denoise(
    collection: str | None = None,
    path: str | Path = "denoised.png",
    *,
    count: int = 10,
    noise: float | None = None,
    seed: int = 0,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
) -> Path:
    """Draw the article's figure: noisy pictures over denoised ones.

    Parameters
    ----------
    collection : str, optional
        Whose model and pictures (held-out ones where there are any).
    path : str or Path
        The PNG to write.
    count : int
        Pictures.
    noise : float, optional
        Standard deviation; by default what the model was trained with, else 0.5.
    seed : int
        Draws pictures and noise.
    qdrant_url : str, optional
        The server to ask; by default `QDRANT_URL`.
    data_dir : str or Path, optional

    Returns
    -------
    Path
    """
    import numpy as np
    from PIL import Image

    from cbir.ingest.sources.catalogue import open_source
    from cbir.model.networks.denoising import denoise as denoise_pixels
    from cbir.search.sheet import Cell, sheet

    if count < 1:
        raise CbirError(f"count must be at least 1, not {count}")
    where = settings(data_dir, qdrant_url)
    with closing(homes.engine(where)) as engine:
        name = homes.named(engine, collection)
        metadata = engine.metadata(name)
    bundle = homes.model(where, name, metadata)
    recipe = bundle.card.get("recipe") or {}
    source = open_source(metadata.sources[0], where.data, where.cache)
    items = source.queries() or list(source.items())
    shuffled = (items[i] for i in np.random.default_rng(seed).permutation(len(items)))
    pixels = _readable_pixels(shuffled, bundle.preprocessing, count)
    if not pixels:
        raise CbirError(f"not one picture of {source.name} can be read")
    strength = recipe.get("noise", 0.5) if noise is None else noise
    rows = denoise_pixels(bundle.autoencoder(), np.stack(pixels), noise=strength, seed=seed)
    cells = [[Cell(Image.fromarray(image.squeeze())) for image in row] for row in rows]
    return save_picture(sheet(cells), path)


@dataclass(frozen=True)
class CollectionSummary:
    """A collection.

    Attributes
    ----------
    name : str
    path : Path or None
        Its folder; None on a server.
    metadata, info
        None where `problem` says why: in use, or damaged.
    problem : str
    """

    name: str
    path: Path | None
    metadata: Metadata | None
    info: Info | None
    problem: str


@dataclass(frozen=True)
class Overview:
    """What there is: `home`, the `location` of the `collections`, their `default`, and the `models`."""

    home: Path
    location: str
    collections: list[CollectionSummary]
    models: list[Bundle]
    default: str | None


def overview(*, qdrant_url: str | None = None) -> Overview:
    """List collections and models with their sizes and places.

    Parameters
    ----------
    qdrant_url : str, optional
        The server to ask; by default `QDRANT_URL`.
    """
    from cbir.collection.interface import CollectionBusyError, CollectionError
    from cbir.ingest.learn import bundles

    where = settings(qdrant_url=qdrant_url)
    summaries = []
    with closing(homes.served(where) if where.qdrant_url else homes.embedded(where, patience=0)) as engine:
        for name in engine.names():
            metadata = info = None
            problem = ""
            try:
                metadata = engine.metadata(name)
                opened = engine.open(name)
                info = opened.info()
                opened.close()
            except CollectionBusyError:
                problem = "in use"
            except CollectionError as error:
                problem = str(error)
            path = None if where.qdrant_url else where.collections / name
            summaries.append(CollectionSummary(name, path, metadata, info, problem))
        default = homes.default(engine) if any(s.metadata for s in summaries) else None
        return Overview(where.home, engine.location, summaries, bundles(where.models), default)


def default_collection(*, qdrant_url: str | None = None) -> str:
    """Name the only collection, else the one ingested last.

    Raises
    ------
    CbirError
        If there is none.
    """
    with closing(homes.engine(settings(qdrant_url=qdrant_url))) as engine:
        return homes.default(engine)


def save_picture(picture: Image.Image, path: str | Path) -> Path:
    """Write a picture in the format of the path's suffix, whole or not at all."""
    from PIL import Image

    path = Path(path).expanduser().absolute()
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise CbirError(f"{path} has no suffix of a picture format; try {path.name}.png")
    content = io.BytesIO()
    try:
        picture.save(content, format=kind)
    except (OSError, ValueError) as error:
        raise CbirError(f"{path} cannot be written as {kind} ({first_line(error)}); try {path.stem}.png") from None
    with disk_errors(path.parent):
        write_atomic(path, content.getbuffer())
    return path


def _readable_pixels(items: Iterable[Item], preprocessing: Preprocessing, count: int) -> list[np.ndarray]:
    """Return the pixels of the first `count` items that can be read, each (h, w, c) uint8."""
    from cbir.model.picture import ImageError

    found: list[np.ndarray] = []
    for item in items:
        with suppress(ImageError):
            found.append(preprocessing.pixels(item.open()))
        if len(found) == count:
            break
    return found


def held_out(searcher: Searcher, where: Settings) -> list[Item]:
    """Return the images that the sources of a collection hold back, without those that it holds too."""
    from cbir.evaluate.heldout import disjoint, left_behind

    sources = _sources(searcher.metadata.sources, where)
    stored = [item for source in sources for item in source.items()]
    queries = disjoint([query for source in sources for query in source.queries()], stored)
    if queries and (gone := left_behind(searcher.collection, stored)):
        message = (
            f"collection '{searcher.name}' holds {gone:,} picture(s) that its sources no longer have; those that are "
            "queries now find themselves: build it anew with cbir ingest SOURCE --retrain"
        )
        warnings.warn(message, CbirWarning, stacklevel=2)
    return queries


def warn_of_own(searcher: Searcher, run: Run) -> None:
    """Say what makes a run's scores better than a search would be, where stored images are its queries."""
    from cbir.model.registry import encoders

    if not run.about.get("leave_one_out"):
        return
    if searcher.bundle.kind in [kind.name for kind in encoders() if kind.learns_from == "labels"]:
        told = f"encoder '{searcher.bundle.kind}' learned the labels of the very images that are the queries"
    elif searcher.metadata.smooth:
        told = "the stored features are averages with neighbours, the queries among them"
    else:
        return
    message = f"{told}: scores are too good; hold some images out, in folders database and queries"
    warnings.warn(message, CbirWarning, stacklevel=3)


def run_folder(where: Settings, name: str) -> Path:
    """Name a folder for runs made now."""
    return where.runs / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def _sources(names: Iterable[str], where: Settings) -> list[Source]:
    """Open a collection's sources; a folder that is gone by now holds nothing back."""
    from cbir.ingest.sources.catalogue import NAMES, open_source
    from cbir.ingest.sources.source import SourceError

    opened = []
    for name in names:
        try:
            opened.append(open_source(name, where.data, where.cache))
        except SourceError:
            if name in NAMES:
                raise
    return opened


def _string_keys(value: Any) -> Any:
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
