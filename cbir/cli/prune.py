"""`cbir prune`: what nothing uses, after asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.confirm import confirmed
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DryRun, Yes
from cbir.cli.terminal import line, table
from cbir.core.words import size

if TYPE_CHECKING:
    from cbir.verbs.prune import Pruned


def prune(
    yes: Yes = False,
    dry_run: DryRun = False,
    qdrant_url: Annotated[
        list[str] | None,
        typer.Option(
            "--qdrant-url",
            help="A Qdrant server whose collections use models of this home, repeatable; also QDRANT_URL.",
        ),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Remove models, runs and maps that no collection uses, and what stopped processes left."""

    def approve(planned: Pruned) -> bool:
        if json_ and not yes:
            for each in planned.unused:
                note(f"{each.kind} {each.path} ({size(each.bytes)}): {each.reason}")
        elif not json_:
            _print_unused(planned)
        things = f"{len(planned.unused):,} thing{'s' if len(planned.unused) != 1 else ''}"
        return not dry_run and confirmed(f"Remove {things}, {size(planned.bytes)}?", yes=yes)

    done = cbir.prune(approve=approve, qdrant_url=qdrant_url)
    if json_:
        print_json(documents.pruned(done))
    elif done.removed:
        freed = sum(each.bytes for each in done.removed)
        line(f"removed {len(done.removed):,} of {len(done.unused):,}: {size(freed)}")
    elif not done.unused:
        line(f"nothing in {done.home} is unused")
    for what, reason in done.kept.items():
        note(f"kept: {what}: {reason}")
    if done.unused and not done.removed:
        note("nothing was removed")
        if not dry_run:
            raise typer.Exit(1)


def _print_unused(planned: Pruned) -> None:
    """Print a table of what would be removed."""
    rows = [(each.path, each.kind, size(each.bytes), each.reason) for each in planned.unused]
    headings = [("where", False), ("what", False), ("size", True), ("why", False)]
    table(f"nothing uses these in {planned.home}", headings, rows, listed=True)
