"""Answer an assistant, by the Model Context Protocol."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path


def mcp(collection: str | None = None, *, qdrant_url: str | None = None, data_dir: str | Path | None = None) -> None:
    """Answer an assistant on standard input and output until it closes them; nothing is changed.

    Beside a running `cbir serve` it searches what that holds; else it opens collections for as long as a search takes.

    Parameters
    ----------
    collection : str, optional
        The one that is meant where the assistant names none; by default the one ingested last.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.

    Raises
    ------
    CbirError
        There is no such collection, or the extra `mcp` is not installed.
    """
    try:
        from cbir.mcp.server import run
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("mcp", "anyio", "pydantic"):
            raise
        raise CbirError(f"cbir mcp needs the extra 'mcp': {to_install('mcp')}") from None
    from cbir.serve.library import Library

    with closing(Library(read_settings(data_dir, qdrant_url), collection)) as library:
        run(library)
