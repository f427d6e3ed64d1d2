"""`cbir remove`: a collection, or points of one, after asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.confirm import confirmed
from cbir.cli.output import note, print_json
from cbir.cli.parameters import (
    AsJson,
    DryRun,
    QdrantUrl,
    Where,
    Within,
    Yes,
    collection_or_default,
    conditions,
)
from cbir.cli.terminal import bars, line
from cbir.core.errors import CbirError
from cbir.core.words import counted, size

if TYPE_CHECKING:
    from cbir.verbs.remove import Removal


def remove(
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="[COLLECTION]", help="Name of the collection; with --where, default: the last ingested."
        ),
    ] = None,
    where: Where = None,
    within: Within = None,
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="The same as the argument.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """Remove a collection or points of one, after saying what that removes; pictures on disk are never touched."""
    if named is not None and collection not in (None, named):
        raise CbirError(f"'{named}' or '{collection}'? Name one collection")
    name = collection if named is None else named  # an empty name, as of an unset variable, is no default
    some = conditions(where, within)
    if name is None and some is not None:
        name = collection_or_default(None, qdrant_url)

    def approve(planned: Removal) -> bool:
        for fact in [] if json_ and yes else _facts(planned):
            note(fact) if json_ else line(fact)
        return not dry_run and confirmed("Remove them?" if some else "Remove it?", yes=yes)

    with bars() as progress:
        done = cbir.remove(name, where=some, approve=approve, qdrant_url=qdrant_url, progress=progress)
    if json_:
        print_json(documents.removal(done))
    elif done.removed:
        line(f"removed; {done.stored - done.points:,} left" if some and done.stored and done.points else "removed")
    if not done.removed and some and not done.points and not done.kept:
        note(f"no point of collection '{done.collection}' passes; nothing was removed")
    elif not done.removed:
        note("nothing was removed")
        if not dry_run:
            raise typer.Exit(1)


def _facts(planned: Removal) -> Iterator[str]:
    """Yield in words what would be removed, and what stays."""
    name, others = f"collection '{planned.collection}' in {planned.location}", ", ".join(planned.other_names)
    if planned.where is not None:
        yield f"{name}: {planned.points:,} of {_points(planned.stored or 0)}"
        if planned.copies:
            copies = counted(planned.copies, "exact copy", "exact copies")
            yield f"they have {copies}, which pass too and leave the collection with them"
        if planned.kept:
            stay = counted(planned.kept, "point stays, as its picture is", "points stay, as their pictures are")
            places = "that place is" if planned.places_off == 1 else f"{planned.places_off:,} places are"
            yield f"{stay} elsewhere too: only {places} removed"
        if others:
            yield f"the same points are removed from {others}"
        yield f"pictures stay where they are: {', '.join(planned.places)}"
        yield "the next cbir ingest stores them again, unless --exclude or a .cbirignore leaves them out"
        return
    takes = [_points(planned.points)] if planned.points is not None else []
    takes += [size(planned.bytes)] if planned.bytes is not None else []
    yield f"{name}: {', '.join(takes)}"
    if planned.problem:
        yield f"it cannot be read: {planned.problem}"
    if others:
        yield f"its points stay, under their other name: {others}"
    if planned.places:
        yield f"its pictures stay where they are: {', '.join(planned.places)}"
    if planned.model:
        yield f"its model '{planned.model}' stays; cbir prune removes models that nothing uses"


def _points(count: int) -> str:
    return counted(count, "point")
