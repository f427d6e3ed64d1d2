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

    config = ServeConfig(host=host, port=port, token=token, collection=collection)
    cbir.serve(config, qdrant_url=qdrant_url, data_dir=data_dir, ready=ready)
