"""`cbir mcp`: a tool for assistants."""

from __future__ import annotations

import cbir
from cbir.cli.parameters import Collection, DataDir, QdrantUrl


def mcp(*, collection: Collection = None, qdrant_url: QdrantUrl = None, data_dir: DataDir = None) -> None:
    """Let an assistant search and look at pictures: a Model Context Protocol server on standard input and output."""
    cbir.mcp(collection, qdrant_url=qdrant_url, data_dir=data_dir)
