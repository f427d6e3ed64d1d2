"""Serve collections: a page to search with, and an API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from cbir.serve.config import ServeConfig


def serve(
    config: ServeConfig | None = None,
    *,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
    ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve the collections of `CBIR_HOME`, or of a server, until the process is asked to end.

    Parameters
    ----------
    config : ServeConfig, optional
        Where it listens, who may ask, and how much at once.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.
    ready : callable
        Called with the page's address once requests are answered.

    Raises
    ------
    CbirError
        The port is taken, or there is no collection of the name that is to be shown first.
    """
    from cbir.serve.config import ServeConfig
    from cbir.serve.library import Library
    from cbir.serve.run import run

    config = config or ServeConfig()
    library = Library(read_settings(data_dir, qdrant_url), config.collection)
    run(library, config, ready)
