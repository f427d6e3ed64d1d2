"""`cbir serve`: a page to search with, and an API."""

from __future__ import annotations

from typing import Annotated

import typer

import cbir
from cbir.cli.output import note
from cbir.cli.parameters import Collection, DataDir, QdrantUrl


def serve(
    *,
    collection: Collection = None,
    host: Annotated[str, typer.Option(help="Where to listen; others can reach what is not 127.0.0.1.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.")] = 8000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    token: Annotated[
        str | None, typer.Option(envvar="CBIR_TOKEN", show_envvar=True, help="Whoever asks must show it.")
    ] = None,
    write_token: Annotated[
        str | None,
        typer.Option(
            envvar="CBIR_WRITE_TOKEN",
            show_envvar=True,
            help="Whoever adds or removes pictures must show it; default: nobody may.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="The server may be asked by this name, too; repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Pages from there may ask, too; repeatable.")
    ] = None,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Open a page to search with, and an API behind it."""
    from cbir.serve.config import ServeConfig

    def ready(address: str) -> None:
        note(f"the page is at {address} (Ctrl-C ends it)")
        if open_:
            import webbrowser

            webbrowser.open(address)

    config = ServeConfig(
        host=host,
        port=port,
        token=token,
        write_token=write_token,
        hosts=tuple(allow_host or ()),
        origins=tuple(each.rstrip("/").lower() for each in allow_origin or ()),
        collection=collection,
    )
    cbir.serve(config, qdrant_url=qdrant_url, data_dir=data_dir, ready=ready)
