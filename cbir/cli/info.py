"""`cbir info`: collections and models, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson, QdrantUrl

if TYPE_CHECKING:
    from cbir.verbs.overview import Overview


def info(qdrant_url: QdrantUrl = None, json_: AsJson = False) -> None:
    """List collections and models, their sizes, and where they are."""
    found = cbir.overview(qdrant_url=qdrant_url)
    if json_:
        print_json(documents.overview(found))
    else:
        _print_overview(found)


def _print_overview(found: Overview) -> None:
    """Print tables of collections and models."""
    from cbir.cli.terminal import line, size, table

    line(f"home        {found.home}")
    line(f"downloads   {found.cache}")
    line(f"processor   {', '.join(name.removesuffix('ExecutionProvider') for name in found.providers)}")
    if not found.collections:
        line(f"no collection yet in {found.location}; make one with: cbir ingest FOLDER")
    else:
        rows = []
        for c in found.collections:
            name = f"{c.name} (default)" if c.name == found.default else c.name
            points = f"{c.info.points:,}" if c.info else "?"
            taken = "?" if c.info is None else "" if c.info.bytes is None else size(c.info.bytes)
            facts = (
                (c.metadata.dimension, c.metadata.model, ", ".join(map(c.metadata.place, c.metadata.sources)))
                if c.metadata
                else ("",) * 3
            )
            rows.append((name, points, taken, *facts))
        columns = [("name", False), ("points", True), ("size", True), ("values", True)]
        table(f"collections in {found.location}", [*columns, ("model", False), ("source", False)], rows, listed=True)
        for c in found.collections:
            if c.problem:
                line(f"{c.name}: {c.problem}")
    if found.models:
        headings = [("name", False), ("encoder", False), ("fingerprint", False), ("values", True)]
        models = [
            (m.name, m.kind, m.fingerprint, m.dimension, m.metadata.get("trained_on") or "", _epochs(m.metadata) or "")
            for m in found.models
        ]
        table("models", [*headings, ("trained on", False), ("epochs", True)], models, listed=True)


def _epochs(metadata: Mapping[str, Any]) -> int:
    """Count the epochs a model was trained for; 0 for one that was not trained, or elsewhere."""
    return len((metadata.get("history") or {}).get("loss", ()))
