"""`cbir move`: where the pictures of collections are now."""

from pathlib import Path
from typing import Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.parameters import AsJson, DryRun, QdrantUrl
from cbir.cli.terminal import line
from cbir.core.words import counted


def move(
    old: Annotated[Path, typer.Argument(help="Where the pictures were: a folder, an archive, or what held several.")],
    new: Annotated[Path, typer.Argument(help="Where they are now.")],
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Change only this collection; default: all.")
    ] = None,
    dry_run: DryRun = False,
    qdrant_url: QdrantUrl = None,
    json_: AsJson = False,
) -> None:
    """Tell collections that pictures have moved; none is opened, and moving back undoes it."""
    moved = cbir.move(old, new, collection, dry_run=dry_run, qdrant_url=qdrant_url)
    if json_:
        print_json(documents.moved(moved))
    else:
        for root in moved.roots:
            line(f"{root.collection}: {root.before} is now {root.after}")
        count = len(moved.roots)
        verb = "changed" if moved.done else "would be changed (--dry-run)"
        line(f"{counted(count, 'folder')} {verb}; no picture was opened")
    for name, reason in moved.failed.items():
        note(f"collection '{name}' was left as it was: {reason}")
    if moved.failed:
        raise typer.Exit(1)
