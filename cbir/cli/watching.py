"""`cbir ingest --watch`: what each ingest did, for as long as it goes on.

The first ingest is printed like any other; each later one in a line, if it changed anything, or as a line of JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import cbir
from cbir import documents
from cbir.cli.output import note, print_json
from cbir.cli.terminal import bars, line
from cbir.core.errors import CbirError
from cbir.core.words import counted

if TYPE_CHECKING:
    from cbir.ingest.report import Report

#: Skipped pictures that are remembered, to be named once.
_REMEMBERED = 1000


def follow(source: Any, options: dict[str, Any], show: Callable[[Report], None], *, json_: bool) -> bool:
    """Ingest, and again whenever something has changed, until Ctrl-C.

    Parameters
    ----------
    source, options
        As for `cbir.watch`.
    show : callable
        Prints the report of the first ingest.
    json_ : bool
        Print a line of JSON for each ingest instead.

    Returns
    -------
    bool
        Whether anything was skipped.
    """
    skipped: dict[str, None] = {}
    failure, first = "", True
    drawn: list[Any] = []
    with ExitStack() as drawing:

        def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
            if not drawn:
                drawn.append(drawing.enter_context(bars(transient=not first)))
            drawn[0](stage, done, total, note)

        try:
            with closing(cbir.watch(source, **options, progress=progress)) as ingests:
                for done in ingests:
                    drawing.close()  # while nothing is done, no bars
                    drawn.clear()
                    if isinstance(done, Exception):
                        failure = _tell(done, failure)
                        continue
                    failure = ""
                    if json_ and (first or _changed(done)):
                        print_json(documents.ingest(done), indent=None)
                    elif first:
                        show(done)
                    elif not json_:
                        _print_line(done, skipped)
                    if first:
                        note("watching for changes; Ctrl-C ends it")
                    skipped |= dict.fromkeys(reason for _, reason in done.unreadable)
                    while len(skipped) > _REMEMBERED:
                        del skipped[next(iter(skipped))]
                    first = False
        except KeyboardInterrupt:
            if first:
                raise
    note(f"no longer watching{'; the next cbir ingest does what is not done yet' if drawn else ''}")
    return bool(skipped)


def _changed(report: Report) -> int:
    """Return how many changes an ingest found."""
    return sum(_counts(report).values())


def _counts(report: Report) -> dict[str, int]:
    return {what: getattr(report, what) for what in ("ingested", "updated", "moved", "copies", "pruned")}


def _print_line(report: Report, known: dict[str, None]) -> None:
    """Print what an ingest did, if anything, and what it skipped, if that is new."""
    for _, reason in report.unreadable:
        if reason not in known:
            note(f"skipped: {reason}")
    for _, reason in report.warnings:
        note(f"read with a warning: {reason}")
    counts = [
        f"{count:,} {'copy' if (count, what) == (1, 'copies') else what}"
        for what, count in _counts(report).items()
        if count
    ]
    if counts:
        line(f"{datetime.now():%H:%M:%S}    {', '.join(counts)}; {counted(report.points, 'point')}")
    if report.gone:
        gone = counted(report.gone, "stored picture is", "stored pictures are")
        note(f"{gone} gone, so many that a disk may not be mounted: nothing was removed")


def _tell(error: Exception, before: str) -> str:
    """Print why an ingest failed, unless it is for the same reason as before; return the reason."""
    reason = str(error) if isinstance(error, CbirError) else f"unexpected {type(error).__name__}: {error}"
    if reason != before:
        note(f"{reason}. Trying again until it works; Ctrl-C ends it")
    return reason
