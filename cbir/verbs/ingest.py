"""Fill a collection from a source."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from cbir.collection import home
from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError, CbirWarning
from cbir.core.options import identifier, spelled, split
from cbir.core.progress import Progress, silent
from cbir.core.settings import Settings, read_settings

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
    from cbir.ingest.report import Report
    from cbir.ingest.sources.choice import ChoiceKeywords
    from cbir.model.bundle import Bundle


def ingest(
    source: str | Path | Sequence[str | Path] = "digits",
    *,
    collection: str | None = None,
    model: str | Path | None = None,
    retrain: bool = False,
    encoder: str | None = None,
    options: Mapping[str, Any] | None = None,
    size: int | None = None,
    limit: int | None = None,
    smooth: int | None = None,
    index: bool | None = None,
    prune: bool = False,
    force: bool = False,
    checksum: bool = False,
    null: bool = False,
    allow_private: bool = False,
    forget_options: bool = False,
    qdrant_url: str | None = None,
    quantization: str | None = None,
    on_disk: bool | None = None,
    shards: int | None = None,
    replicas: int | None = None,
    on: str | None = None,
    ray: str | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    read_workers: int | None = None,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
    **choice: Unpack[ChoiceKeywords],
) -> Report:
    """Fill a collection from a source, learning an encoder if it has none, or bring it in step with the source.

    Parameters
    ----------
    source : str, Path, or sequence of them
        `digits`, `mnist`, `fashion-mnist`; a folder; an archive (.zip, .tar, .parquet); a picture; a text file of paths
        and addresses, a line each, or `-` for such a list on standard input; a pattern such as `photos/**/*.jpg`; an
        http(s) address of a picture; an address in object storage, `s3://bucket/photos` or `gs://bucket/photos`.
    collection : str, optional
        By default the name of the source, the first of several.
    model : str or Path, optional
        Use this model bundle, `.onnx` file (see docs/networks.md), or `.keras` or `.h5` file with a layer `encoder`,
        instead of training.
    retrain : bool
        Train again and rebuild the collection; the old one can be searched until then.
    encoder : str, optional
        The encoder to train, with its options if any: `contrastive:rotation=180,preset=quality`
        (see `cbir encoders` and `cbir encoders NAME`). By default the one that filled the collection; for a
        new one `contrastive` if the pictures are small and grey, such as digits, and `photo` for all others.
    options : Mapping, optional
        More options of the encoder, such as `{"epochs": 5}`; those in `encoder` win.
    size : int, optional
        Height and width of the encoder's input; by default what suits the pictures.
    limit : int, optional
        Ingest at most this many images.
    smooth : int, optional
        Store the average of each feature and this many nearest (see `cbir.ingest.smooth`); by default the
        collection's number, and 0 for a new one.
    index : bool, optional
        Build the HNSW index, or do not; by default only for large collections.
    prune : bool
        Remove what is stored of pictures that are gone; without it they are counted. Nothing is removed if the folder
        is empty or half of it is gone, as if a disk was not mounted.
    force : bool
        With `prune`: even then.
    checksum : bool
        Read every file; by default one whose size, times and inode are as stored counts as unchanged.
    null : bool
        The entries of lists end with NUL instead of a line break, as `find -print0` writes them.
    allow_private : bool
        Fetch addresses from private networks too, such as this machine's own.
    forget_options : bool
        Take folders and archives as if they were new; by default, the options of `choice` that are not given are those
        of the last ingest of the same folder into the same collection.
    qdrant_url : str, optional
        Fill a collection on this Qdrant server; by default `QDRANT_URL`, else the collection is embedded.
        The server's key is read from `QDRANT_API_KEY`.
    quantization : {'int8', 'binary', 'turbo', 'none'}, optional
        Search smaller copies of the vectors, a quarter of their size and less. This and the next three are for a new
        collection; with `retrain`, those that are not given are as the collection that is replaced has them.
    on_disk : bool, optional
        Keep the vectors on disk, and read what a search needs.
    shards, replicas : int, optional
        In how many parts a cluster spreads the points, and how many copies of each it stores.
    on : {'ray'}, optional
        Read and encode on many machines, by Ray (see docs/distributed.md); the collection has to be on a server.
    ray : str, optional
        Address of Ray's cluster, such as `head:6379`; by default `RAY_ADDRESS`, else Ray is started on this machine.
    workers, read_workers : int, optional
        How many encode, and how many read; by default as many as there is room for.
    gpus_per_worker : float, optional
        GPUs that each encoder takes; by default none.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    progress : Progress
        Called often while the work goes on (see `cbir.core.progress`).
    **choice
        Which pictures are taken, and their labels: the options of `cbir.ingest.sources.choice.Choice`.

    Returns
    -------
    cbir.ingest.report.Report

    Raises
    ------
    CbirError
        What went wrong and what to do about it, in one or two sentences.
    """
    from cbir.collection.layout import Layout
    from cbir.collection.lent.telling import telling
    from cbir.ingest.chosen import Chosen
    from cbir.ingest.job import Care, run
    from cbir.ingest.learn import Plan
    from cbir.ingest.sources.arguments import open_sources
    from cbir.model.registry import parse_encoder

    if smooth is not None and smooth < 0:
        raise CbirError(f"smooth must be at least 0, not {smooth}")
    if force and not prune:
        raise CbirError("--force goes with --prune")
    if model is not None and retrain:
        raise CbirError("--model uses a model and --retrain trains one: give only one of them")
    settings = read_settings(data_dir, qdrant_url)
    loop = _loop(on, settings, smooth, ray=ray, workers=workers, gpus=gpus_per_worker, read_workers=read_workers)
    layout = Layout(quantization, on_disk, shards, replicas)
    named_sources = [str(source)] if isinstance(source, (str, Path)) else [str(each) for each in source]
    with closing(home.open_engine(settings, layout)) as engine, disk_errors(settings.home):
        chosen = Chosen(engine, choice, forget=forget_options)
        guessed = _name_of(named_sources) if collection is None else collection
        with chosen.telling():
            opened = open_sources(
                named_sources,
                settings.data,
                settings.cache,
                choice=chosen.by_path(guessed),
                null_separated=null,
                allow_private=allow_private,
                may_be_empty=prune,
                progress=progress,
            )
            name = engine.spelled(opened.name if collection is None else collection)
            opened = chosen.corrected(opened, name)
        named = encoder or _encoder_of(name, engine, settings.models)
        kind, recipe = parse_encoder(named, options) if named else (None, None)
        plan = Plan(kind, recipe, size, options={identifier(name): value for name, value in (options or {}).items()})
        if retrain:
            home.keep_layout(engine, name)
        else:
            home.warn_of_unused_layout(layout, name, engine)
        with loop, nullcontext() if settings.qdrant_url else telling(settings.collections, name) as told:
            report = run(
                opened,
                name,
                engine,
                settings.models,
                plan,
                model=Path(model) if model is not None else None,
                retrain=retrain,
                require_plan=encoder is not None or size is not None,
                add_source=collection is not None,
                limit=limit,
                smooth=smooth,
                index=index,
                care=Care(prune=prune, force=force, checksum=checksum),
                reports=settings.runs / f"ingest-{name}",
                loop=loop if on else None,
                progress=told.along(progress) if told else progress,
            )
            if told:
                told.finished(report.ingested)
    if not report.trained and not retrain and kind is not None:
        given = {identifier(option) for option in (*(options or {}), *split(encoder or "")[1])}
        _warn_of_unused_options({option: getattr(recipe, option) for option in sorted(given)}, report.model)
    return report


def _loop(
    on: str | None,
    settings: Settings,
    smooth: int | None,
    *,
    ray: str | None,
    workers: int | None,
    gpus: float | None,
    read_workers: int | None,
) -> Any:
    """Return what reads, encodes and stores, as a context; nothing, if that is this process."""
    given = {"--ray": ray, "--workers": workers, "--gpus-per-worker": gpus, "--read-workers": read_workers}
    if on is None:
        if named := [option for option, value in given.items() if value is not None]:
            raise CbirError(f"{', '.join(named)}: only with --on ray")
        return nullcontext()
    if on != "ray":
        raise CbirError(f"--on '{on}': the only other place to run an ingest on is ray")
    if settings.qdrant_url is None:
        raise CbirError(
            "--on ray needs a Qdrant server, named with --qdrant-url or QDRANT_URL: one process holds an embedded "
            "collection. Without --on ray it is filled here, and cbir push takes it to a server later"
        )
    if smooth:
        raise CbirError(
            "--smooth averages each feature with all others, for which one process has to see them: not --on ray"
        )
    from cbir.ingest.distributed.cluster import Machines, check
    from cbir.ingest.distributed.loop import OnRay

    machines = Machines(ray, workers, gpus or 0.0, read_workers)
    check(machines)
    return OnRay(machines)


def _name_of(sources: Sequence[str]) -> str:
    """Return what the collection of some sources will be called, as far as that can be told before they are opened."""
    from cbir.ingest.sources.catalogue import collection_name

    with suppress(OSError, RuntimeError, ValueError):  # what is wrong with a path is told where it is opened
        return collection_name(sources[0]) if sources else ""
    return ""


def _encoder_of(name: str, engine: Engine, models: Path) -> str | None:
    """Return the encoder that filled a collection; None if there is no such collection, or its model is missing."""
    from cbir.model.bundles import bundle_of

    if not engine.exists(name):
        return None
    with suppress(CbirError):
        metadata = engine.metadata(name)
        return bundle_of(models, name, metadata.model, metadata.fingerprint).kind
    return None


def _warn_of_unused_options(given: Mapping[str, Any], model: Bundle) -> None:
    """Warn of options that the model in use was not trained with."""
    trained_with = model.metadata.get("recipe") or {}
    unused = [spelled(option) for option, value in given.items() if value != trained_with.get(option)]
    if unused:
        warnings.warn(
            f"{', '.join(unused)} not used: the model is trained already. "
            "Train again with --retrain, or name another collection with --collection.",
            CbirWarning,
            stacklevel=3,
        )
