"""`cbir remove`: a collection, after asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.confirm import confirmed
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DryRun, QdrantUrl, Yes
from cbir.cli.terminal import line, size
from cbir.core.uris import shown

if TYPE_CHECKING:
    from cbir.verbs.remove import Removal


def remove(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """Remove a collection, after saying what that removes; pictures on disk are never touched."""

    def approve(planned: Removal) -> bool:
        for fact in [] if json_ and yes else _facts(planned):
            note(shown(fact)) if json_ else line(shown(fact))
        return not dry_run and confirmed("Remove it?", yes=yes)

    done = cbir.remove(collection, approve=approve, qdrant_url=qdrant_url)
    if json_:
        print_json(documents.removal(done))
    elif done.removed:
        line("removed")
    if not done.removed:
        note("nothing was removed")
        if not dry_run:
            raise typer.Exit(1)


def _facts(planned: Removal) -> Iterator[str]:
    """Yield in words what would be removed, and what stays."""
    takes = [f"{planned.points:,} point{'s' if planned.points != 1 else ''}"] if planned.points is not None else []
    takes += [size(planned.bytes)] if planned.bytes is not None else []
    yield f"collection '{planned.collection}' in {planned.location}: {', '.join(takes)}"
    if planned.problem:
        yield f"it cannot be read: {planned.problem}"
    if planned.other_names:
        yield f"its points stay, under their other name{'s' if len(planned.other_names) > 1 else ''}: " + ", ".join(
            planned.other_names
        )
    if planned.places:
        yield f"its pictures stay where they are: {', '.join(planned.places)}"
    if planned.model:
        yield f"its model '{planned.model}' stays; cbir prune removes models that nothing uses"
