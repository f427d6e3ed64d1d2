"""`cbir duplicates`: what a collection holds more than once, and which of it to keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cbir
from cbir import documents
from cbir.cli.options import options_from
from cbir.cli.output import note, print_json, print_paths
from cbir.cli.parameters import (
    AsJson,
    CollectionArgument,
    DataDir,
    Null,
    Paths,
    QdrantUrl,
    Where,
    Within,
    collection_or_default,
)
from cbir.cli.terminal import bars, line, table
from cbir.core.options import OptionError
from cbir.core.words import counted, size
from cbir.search.duplicates.options import DuplicatesOptions

if TYPE_CHECKING:
    from cbir.search.duplicates.result import Duplicates, Member


@options_from(DuplicatesOptions)
def duplicates(
    named: CollectionArgument = None,
    *,
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="The same as the argument.")] = None,
    where: Where = None,
    within: Within = None,
    alike: Annotated[
        bool, typer.Option("--alike", help="Show pictures of one motif too, such as bursts: alike, not the same.")
    ] = False,
    options: DuplicatesOptions,
    save: Annotated[Path | None, typer.Option(help="Draw the groups into this file, what to keep framed.")] = None,
    paths: Paths = False,
    null: Null = False,
    qdrant_url: QdrantUrl = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Group pictures that are the same, edited or not, and say which to keep; deletes nothing."""
    if json_ and (paths or null):
        raise OptionError("--json prints paths as well; give either --json, or --paths or -0")
    if named is not None and collection not in (None, named):
        raise OptionError(f"'{named}' or '{collection}'? Name one collection")
    name = collection_or_default(collection if named is None else named, qdrant_url)
    with bars() as progress:
        found = cbir.duplicates(
            name,
            where=where or None,
            within=within,
            sheet=save,
            alike=alike,
            qdrant_url=qdrant_url,
            data_dir=data_dir,
            progress=progress,
            **{each: getattr(options, each) for each in ("max_distance", "nearest", "pictures", "seed")},
        )
    if save is not None and (found.groups or (alike and found.alike)):
        note(f"picture: {save}")
    if found.unreadable:
        uri, reason = found.unreadable[0]
        unreadable = counted(len(found.unreadable), "picture")
        note(f"left out {unreadable} that cannot be opened (the first: {uri}: {reason})")
    if json_:
        print_json(documents.duplicates(found))
    elif paths or null:
        print_paths(found.paths(), null=null)
    else:
        _print(found, alike=alike)


def _print(found: Duplicates, *, alike: bool) -> None:
    columns = [("group", True), ("", False), ("pixels", True), ("size", True), ("image", False)]
    if found.groups:
        table(f"the same in {found.collection}", columns, _rows(found))
    if found.alike and alike:
        shots = [(number, "", *_facts(member)) for number, members in enumerate(found.alike, 1) for member in members]
        table("alike, and not the same", columns, shots)
    for text in _summary(found, alike=alike):
        line(text)


def _rows(found: Duplicates) -> Iterator[tuple[object, ...]]:
    for number, group in enumerate(found.groups, 1):
        yield number, f"keep: {group.why}", *_facts(group.keep)
        for other in group.others:
            yield "", other.how, *_facts(other)


def _facts(member: Member) -> tuple[str, str, str]:
    pixels = "" if member.size is None else f"{member.size[0]}x{member.size[1]}"
    return pixels, "" if member.bytes is None else size(member.bytes), member.path or member.uri


def _summary(found: Duplicates, *, alike: bool) -> Iterator[str]:
    used = found.threshold
    compared = f"{counted(found.compared, 'pair')} of {counted(found.points, 'picture')}"
    if used is not None and used.reached is not None:
        yield (
            f"compared    {compared}, closer than {used.distance:.3g}: "
            f"so are {used.reached:.0%} of copies made to try it"
        )
    else:
        yield f"compared    {compared}"
    groups = counted(len(found.groups), "group")
    spare = counted(len(found.spare), "file need", "files need")
    if found.groups:
        yield f"the same    {groups}; {spare} not be kept, {size(found.spare_bytes)}"
    else:
        yield "the same    nothing"
    if found.alike:
        count = sum(map(len, found.alike))
        motifs = counted(len(found.alike), "motif")
        yield f"alike       {count:,} pictures of {motifs}{'' if alike else ' (--alike shows them)'}"
    if found.groups:
        yield "nothing was deleted; --paths prints what need not be kept, --save draws it"
