"""The command line: a thin skin over `cbir.api`.

Every command prints for people, or with `--json` one document on standard
output; progress and messages go to standard error.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cbir import api, report
from cbir.core.errors import CbirError, flag
from cbir.guard import guarded, note, show_tracebacks

if TYPE_CHECKING:
    from cbir.collection.transfer import Transferred

app = typer.Typer(
    name="cbir",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command takes --json. Files are kept in CBIR_HOME (see: cbir info).",
)

Name = Annotated[str | None, typer.Option("--collection", "-c", help="Collection; by default the one ingested last.")]
Given = Annotated[str | None, typer.Argument(metavar="[COLLECTION]", help="By default the one ingested last.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of mnist and fashion-mnist; also CBIR_DATA.")]
Url = Annotated[
    str | None, typer.Option("--qdrant-url", help="Qdrant server; also QDRANT_URL. Its key: QDRANT_API_KEY.")
]
Quantized = Annotated[
    Literal["int8", "binary", "turbo"] | None,
    typer.Option("--quantization", help="On a server: int8, binary or turbo."),
]
OnDisk = Annotated[bool, typer.Option("--on-disk", help="On a server: leave the vectors on disk.")]
Shards = Annotated[int | None, typer.Option(min=1, help="On a cluster: parts to spread over.")]
Replicas = Annotated[int | None, typer.Option(min=1, help="On a cluster: copies of each part.")]
Indexed = Annotated[
    bool | None, typer.Option("--index/--no-index", help="Build the HNSW index; by default when it pays.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed.")]
Expand = Annotated[
    int, typer.Option(min=0, help="Average the query with so many nearest and search again; 0: search once.")
]
Rerank = Annotated[bool, typer.Option("--rerank", help="Re-rank the first hits by their k-reciprocal neighbours.")]
Invert = Annotated[bool, typer.Option("--invert", help="Swap dark and light in the query.")]


@app.command()
@guarded
def ingest(
    source: Annotated[str, typer.Argument(help="digits, mnist, fashion-mnist, or a folder of pictures.")] = "digits",
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Collection to fill; the source's name by default.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model bundle, or .keras / .h5 file with a layer 'encoder', to use.")
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again and build the collection anew.")] = False,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder to learn (see: cbir encoders); contrastive for a new collection.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Height and width of the encoder's input; by default what suits the pictures.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs to train.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images a training step.")] = None,
    noise: Annotated[
        float | None, typer.Option(min=0.0, help="Standard deviation of the noise, pixels in [0, 1].")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the training.")] = None,
    rotation: Annotated[
        float | None, typer.Option(min=0.0, help="contrastive: degrees either way that are to make no difference.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="contrastive: default, or quality, which takes three times as long or more.")
    ] = None,
    bits: Annotated[int | None, typer.Option(min=1, help="deep-autoencoder: length of the code.")] = None,
    short_bits: Annotated[
        int | None, typer.Option(min=1, help="deep-autoencoder: leading bits of it that prune a search.")
    ] = None,
    values: Annotated[int | None, typer.Option(min=1, help="pca, sift: values in a feature.")] = None,
    words: Annotated[int | None, typer.Option(min=1, help="sift: size of the vocabulary.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most images to take.")] = None,
    smooth: Annotated[
        int | None,
        typer.Option(min=0, help="Store features averaged with so many nearest; the collection keeps to it."),
    ] = None,
    index: Indexed = None,
    qdrant_url: Url = None,
    quantization: Quantized = None,
    on_disk: OnDisk = False,
    shards: Shards = None,
    replicas: Replicas = None,
    data_dir: DataDir = None,
    json_: Json = False,
) -> None:
    """Train or load an encoder, encode every image, store the features in Qdrant."""
    from cbir.console import bars

    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "noise": noise,
        "seed": seed,
        "rotation": rotation,
        "preset": preset,
        "bits": bits,
        "short_bits": short_bits,
        "values": values,
        "words": words,
    }
    with bars() as progress:
        done = api.ingest(
            source,
            collection=collection,
            model=model,
            retrain=retrain,
            encoder=encoder,
            size=size,
            limit=limit,
            smooth=smooth,
            index=index,
            qdrant_url=qdrant_url,
            quantization=quantization,
            on_disk=on_disk,
            shards=shards,
            replicas=replicas,
            data_dir=data_dir,
            progress=progress,
            **options,
        )
    if not done.trained and not retrain:
        learned_by = done.model.card.get("recipe") or {}
        unused = [flag(name) for name, value in options.items() if value not in (None, learned_by.get(name))]
        if unused:
            note(f"{', '.join(unused)} not used: there is a model; train again with --retrain, or name a --collection")
    for _, reason in done.unreadable:
        note(f"skipped: {reason}")
    if done.passed_over:
        note(
            f"not looked at: {done.passed_over} picture(s) deeper than one folder level, "
            "neither PNG nor JPEG, or with names that are not UTF-8"
        )
    if json_:
        _print_json(report.ingest_document(done))
    else:
        report.print_ingest(done)


@app.command()
@guarded
def search(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, or uris such as mnist:test/7.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Hits for each image.")] = 10,
    collection: Name = None,
    label: Annotated[list[str] | None, typer.Option(help="Only hits with this label; repeatable.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every point, not by the HNSW index.")] = False,
    expand: Expand = 0,
    rerank: Rerank = False,
    save: Annotated[Path | None, typer.Option(help="Write queries and hits side by side as a picture.")] = None,
    prune: Annotated[
        int | None, typer.Option(min=0, help="Rank only images whose short code differs in at most so many bits.")
    ] = None,
    invert: Invert = False,
    qdrant_url: Url = None,
    data_dir: DataDir = None,
    json_: Json = False,
) -> None:
    """Find the stored images that look most like each query image."""
    with api.open(_named(collection, qdrant_url), qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        found = searcher.search_many(
            images, k, labels=_labels(label), exact=exact, invert=invert, prune=prune, expand=expand, rerank=rerank
        )
    name = searcher.name
    if save is not None:
        from cbir.search.strip import strip

        queries = [(Path(i).name if Path(i).exists() else i, searcher.open_picture(i)) for i in images]
        drawn, missing = strip(queries, found, searcher.open_picture)
        if missing:
            note(f"not every hit can be shown: {missing}")
        note(f"picture: {api.save_picture(drawn, save)}")
    if label and not any(found):
        near = "" if prune is None else f" and is within {prune} bits"
        note(f"no image in '{name}' has the label {' or '.join(label)}{near}")
    elif prune is not None and min(map(len, found)) < k:
        note(f"fewer than {k} images{' of that label' if label else ''} are within {prune} bits")
    if json_:
        _print_json(report.search_document(name, images, found))
    else:
        report.print_hits(name, images, found)


@app.command()
@guarded
def evaluate(
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", "-c", help="Collection; by default the one ingested last. Repeatable with --distort."
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="The most held-out queries.")] = 1000,
    depth: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of results to assess; repeatable; the article's by default.")
    ] = None,
    seed: Seed = 0,
    expand: Expand = 0,
    rerank: Rerank = False,
    distort: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=A,B,...]", help="Distort the queries, such as rotate=15,30 or blur; repeatable."),
    ] = None,
    from_run: Annotated[Path | None, typer.Option(help="Score this stored run again, without searching.")] = None,
    qdrant_url: Url = None,
    data_dir: DataDir = None,
    json_: Json = False,
) -> None:
    """Score a collection by the article's protocol: LRAP and its peers against depth, or what distortions leave."""
    from cbir.console import bars

    if distort:
        from cbir import robustness

        if depth or from_run:
            raise CbirError("--distort scores at depth 10 and asks anew: leave --depth and --from-run out")
        with bars() as progress:
            made = robustness.evaluate_distorted(
                collection or [_named(None, qdrant_url)],
                distort,
                queries=queries,
                seed=seed,
                expand=expand,
                rerank=rerank,
                qdrant_url=qdrant_url,
                data_dir=data_dir,
                progress=progress,
            )
        if json_:
            _print_json(made.as_json())
        else:
            report.print_robustness(made)
        return
    if collection and len(collection) > 1:
        raise CbirError("one collection is evaluated at a time; cbir compare compares, and --distort takes several")
    name = collection[0] if collection else None
    with bars() as progress:
        done = api.evaluate(
            name if from_run else _named(name, qdrant_url),
            queries=queries,
            depths=depth,
            seed=seed,
            expand=expand,
            rerank=rerank,
            from_run=from_run,
            qdrant_url=qdrant_url,
            data_dir=data_dir,
            progress=progress,
        )
    if json_:
        _print_json(done.as_json())
    else:
        report.print_scores(done)


@app.command()
@guarded
def compare(
    source: Annotated[
        str, typer.Option(help="digits, mnist, fashion-mnist, or a folder of pictures with labels.")
    ] = "digits",
    encoder: Annotated[
        list[str] | None, typer.Option(help="Encoder, or NAME:epochs=5,seed=1; repeatable; by default all that fit.")
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="The most queries, the same for all.")] = 1000,
    seed: Seed = 0,
    training_seed: Annotated[int | None, typer.Option(min=0, help="Seed of the encoders that have one.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most images to take.")] = None,
    save: Annotated[Path | None, typer.Option(help="Folder to copy table, curves and line-up to.")] = None,
    qdrant_url: Url = None,
    data_dir: DataDir = None,
    json_: Json = False,
) -> None:
    """Put encoders side by side: train and evaluate what has not been yet, print one table, draw two pictures."""
    from cbir.comparison import compare as compared
    from cbir.console import bars

    with bars() as progress:
        done = compared(
            source,
            encoder or (),
            queries=queries,
            seed=seed,
            training_seed=training_seed,
            limit=limit,
            save=save,
            qdrant_url=qdrant_url,
            data_dir=data_dir,
            progress=progress,
        )
    if json_:
        _print_json(report.comparison_document(done))
    else:
        report.print_comparison(done)
    if save is not None:
        note(f"copied to {save}")


@app.command()
@guarded
def denoise(
    collection: Name = None,
    save: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("denoised.png"),
    count: Annotated[int, typer.Option(min=1, help="Pictures.")] = 10,
    noise: Annotated[
        float | None, typer.Option(min=0.0, help="Standard deviation of the noise; the model's own by default.")
    ] = None,
    seed: Seed = 0,
    qdrant_url: Url = None,
    data_dir: DataDir = None,
    json_: Json = False,
) -> None:
    """Draw noisy images over what the autoencoder makes of them."""
    name = _named(collection, qdrant_url)
    path = api.denoise(name, save, count=count, noise=noise, seed=seed, qdrant_url=qdrant_url, data_dir=data_dir)
    if json_:
        _print_json({"collection": name, "picture": str(path)})
    else:
        typer.echo(path)


@app.command()
@guarded
def embed(
    image: Annotated[str, typer.Argument(help="File, or a uri such as mnist:test/7.")],
    collection: Name = None,
    invert: Invert = False,
    qdrant_url: Url = None,
    data_dir: DataDir = None,
    json_: Annotated[bool, typer.Option("--json", help="This command always prints JSON.")] = True,  # noqa: ARG001
) -> None:
    """Print an image's feature vector as JSON, for other tools that query Qdrant."""
    with api.open(_named(collection, qdrant_url), qdrant_url=qdrant_url, data_dir=data_dir) as searcher:
        vector = searcher.embed(image, invert=invert).tolist()
        document = {"image": image, "collection": searcher.name, "fingerprint": searcher.bundle.fingerprint}
    typer.echo(json.dumps({**document, "vector": vector}, ensure_ascii=False))


@app.command()
@guarded
def info(qdrant_url: Url = None, json_: Json = False) -> None:
    """List collections and models, their sizes, and where they are."""
    seen = api.overview(qdrant_url=qdrant_url)
    if json_:
        _print_json(report.overview_document(seen))
    else:
        report.print_overview(seen)


@app.command()
@guarded
def encoders(json_: Json = False) -> None:
    """List the encoders: what each is, and what it learns from."""
    if json_:
        _print_json(report.encoders_document())
    else:
        report.print_encoders()


@app.command()
@guarded
def push(
    collection: Given = None,
    qdrant_url: Url = None,
    index: Indexed = None,
    quantization: Quantized = None,
    on_disk: OnDisk = False,
    shards: Shards = None,
    replicas: Replicas = None,
    json_: Json = False,
) -> None:
    """Copy an embedded collection to a Qdrant server; again, to go on or to bring it up to date."""
    from cbir import copies
    from cbir.console import bars

    with bars() as progress:
        done = copies.push(
            collection,
            qdrant_url=qdrant_url,
            index=index,
            quantization=quantization,
            on_disk=on_disk,
            shards=shards,
            replicas=replicas,
            progress=progress,
        )
    _print_transfer(done, json_)


@app.command()
@guarded
def pull(collection: Given = None, qdrant_url: Url = None, index: Indexed = None, json_: Json = False) -> None:
    """Copy a Qdrant server's collection into CBIR_HOME; again, to go on or to bring it up to date."""
    from cbir import copies
    from cbir.console import bars

    with bars() as progress:
        done = copies.pull(collection, qdrant_url=qdrant_url, index=index, progress=progress)
    _print_transfer(done, json_)


@app.command()
@guarded
def snapshot(
    collection: Given = None,
    save: Annotated[
        Path | None, typer.Option(help="The file to write; NAME.cbir.zip, or NAME.snapshot of a server's, by default.")
    ] = None,
    qdrant_url: Url = None,
    json_: Json = False,
) -> None:
    """Write a whole collection into a file: an archive, or Qdrant's own snapshot of a server's."""
    from cbir import copies
    from cbir.console import bars, size

    with bars() as progress:
        made = copies.snapshot(collection, save, qdrant_url=qdrant_url, progress=progress)
    if not made.with_model:
        note("the model is not in it; without the model's folder (cbir info) it can be searched by vectors only")
    if json_:
        _print_json(report.snapshot_document(made))
    else:
        typer.echo(f"{made.path} ({size(made.bytes)})")


@app.command()
@guarded
def restore(
    file: Annotated[Path, typer.Argument(help="What cbir snapshot wrote.")],
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Its name; the file's, up to the first dot, by default.")
    ] = None,
    qdrant_url: Url = None,
    json_: Json = False,
) -> None:
    """Make a collection from a file that snapshot wrote."""
    from cbir import copies
    from cbir.console import bars

    with bars() as progress:
        name = copies.restore(file, collection, qdrant_url=qdrant_url, progress=progress)
    if json_:
        _print_json({"collection": name, "file": str(file)})
    else:
        typer.echo(f"collection '{name}'")


def _print_transfer(done: "Transferred", json_: bool) -> None:
    if json_:
        _print_json(report.transfer_document(done))
    else:
        report.print_transfer(done)


def _named(collection: str | None, qdrant_url: str | None) -> str:
    """Return the collection to use, and say which if it was not named."""
    if collection is not None:
        return collection
    name = api.default_collection(qdrant_url=qdrant_url)
    note(f"collection '{name}'")
    return name


def _labels(texts: list[str] | None) -> list[int | str] | None:
    """Read labels: `7` means the number as well as the text, as datasets have the one and folders the other."""
    if not texts:
        return None
    numbers = [int(text) for text in texts if text.isascii() and text.removeprefix("-").isdecimal()]
    return [*texts, *(number for number in numbers if abs(number) < 2**63)]


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # 40 ms that no other command needs

        typer.echo(f"cbir {version('cbir')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Find images that look like a query image. No labels needed."""


def main() -> None:
    """Run the command line; `--debug` may stand anywhere, as it is added after something failed."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        show_tracebacks()
        arguments = [argument for argument in arguments if argument != "--debug"]
    app(args=arguments)
