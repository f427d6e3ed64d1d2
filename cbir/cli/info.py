"""`cbir info`: collections and models, and where they are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson, QdrantUrl
from cbir.core.errors import CbirError
from cbir.core.words import counted

#: Damaged points that are named.
_MOST_NAMED = 20

if TYPE_CHECKING:
    from cbir.verbs.check import Checked
    from cbir.verbs.overview import Overview


def info(
    collection: Annotated[
        str | None, typer.Argument(metavar="[COLLECTION]", help="The collection to check; default: all.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare all points with their checksums: is anything damaged?")
    ] = False,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """List collections and models, their sizes, and where they are; or check what is stored."""
    if check:
        _check(collection, qdrant_url, json_)
        return
    if collection is not None:
        raise CbirError(f"cbir info lists all collections; to check one: cbir info {collection} --check")
    found = cbir.overview(qdrant_url=qdrant_url)
    if json_:
        print_json(documents.overview(found))
    else:
        _print_overview(found)


def _check(collection: str | None, qdrant_url: str | None, json_: bool) -> None:
    """Check collections, and end with code 1 if one is damaged."""
    from cbir.cli.terminal import bars, line

    with bars(transient=True) as progress:
        found = cbir.check(collection, qdrant_url=qdrant_url, progress=progress)
    if json_:
        print_json([documents.checked(each) for each in found])
    elif not found:
        line("no collection yet")
    else:
        for each in found:
            for text in _in_words(each):
                line(text)
    if not all(each.sound for each in found):
        raise typer.Exit(1)


def _in_words(found: Checked) -> Iterator[str]:
    """Yield what a check has found, and what to do about it, a line each."""
    name, damage = found.collection, found.damage
    if damage is None:
        yield f"{name}: {found.problem}"
        return
    yield f"{name}: {str(damage) or counted(damage.points, 'point') + ', all as stored'}"
    for point in found.points[:_MOST_NAMED]:
        what = " and ".join([*(["vector"] if point.vector else []), *(["fields"] if point.fields else [])])
        yield f"  {point.where or point.id}: {what}"
    if len(found.points) > _MOST_NAMED:
        yield f"  and {len(found.points) - _MOST_NAMED:,} more (--json names all)"
    if damage.changed:
        yield f"  of {counted(damage.changed, 'point')}, other programs have changed the fields, or they are damaged"
    if damage.unsigned:
        yield f"  {counted(damage.unsigned, 'point')} of an older cbir, or of another program, without a checksum"
    if damage.none:
        return
    sources = dict.fromkeys(point.source for point in found.points if point.source)
    again = next(iter(sources)) if len(sources) == 1 else "SOURCE"
    yield (
        f"  encode again what is damaged: cbir ingest {shlex.quote(again)} --collection {shlex.quote(name)} --checksum"
    )
    yield "  or remove the collection, and restore a snapshot: cbir restore FILE"


def _print_overview(found: Overview) -> None:
    """Print tables of collections and models."""
    from cbir.cli.terminal import line, table
    from cbir.core.words import size

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
