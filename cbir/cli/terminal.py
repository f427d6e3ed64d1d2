"""Progress on standard error, tables and lines on standard output.

Imported by commands that need it: `cbir search --json` does not wait for rich. All that is printed is text: brackets,
backslashes and colons in a label are no markup.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cbir.cli.output import note as say
from cbir.cli.output import notes_above, printable, writing
from cbir.core.progress import STAGES, Progress

#: Seconds after which progress is told in a line, where no bar can be drawn: short work says nothing.
_EVERY = 30.0


@contextmanager
def bars(*, transient: bool = False) -> Iterator[Progress]:
    """Yield a progress function that draws a bar for each stage, with the time left; `transient` bars go at the end.

    Where standard error is no terminal, it prints a line now and then.
    """
    console = _console(stderr=True)
    if not (sys.stderr is not None and sys.stderr.isatty()) or console.is_dumb_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    drawn = Bars(*columns, console=console, transient=transient)

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        if not tasks:
            drawn.start()  # not before: it would print an empty line
        note = printable(note, sys.stderr)
        if stage not in tasks:
            tasks[stage] = drawn.add_task(STAGES.get(stage, stage), total=total, note=note)
        elif done < drawn.tasks[tasks[stage]].completed:
            drawn.reset(tasks[stage])  # the next encoder begins the same stage
        drawn.update(tasks[stage], completed=done, total=total, note=note)

    def write(text: str) -> None:
        drawn.console.print(Text(text), soft_wrap=True)

    try:
        with notes_above(write):
            yield report
    finally:
        if tasks:
            drawn.stop()


def _lines() -> Progress:
    """Return a progress function that prints a line from time to time: for logs of what takes long."""
    told = time.monotonic()

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        nonlocal told
        if time.monotonic() - told < _EVERY:
            return
        told = time.monotonic()
        of = "" if total is None else f" of {total:,}"
        say(f"{STAGES.get(stage, stage)}: {done:,}{of}{f', {note}' if note else ''}")

    return report


def table(
    title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[object]], *, listed: bool = False
) -> None:
    """Print a table; each column is a heading and whether it holds numbers.

    Where the terminal is too narrow, long cells continue on the next line; or, if `listed`, each row is printed as a
    list under its first cell, so that names and paths stay whole.
    """
    texts = [[printable(str(cell), sys.stdout) for cell in row] for row in rows]
    drawn = Table(header_style="bold")
    for heading, numeric in columns:
        drawn.add_column(Text(heading), justify="right" if numeric else "left", overflow="fold")
    for row in texts:
        drawn.add_row(*map(Text, row))
    console = _console()
    if not console.is_terminal:
        console.width = 10_000  # a file or a pipe has no width
    if title:  # rich would wrap a title of the table itself at the table's width
        _print(console, Text(printable(title, sys.stdout), style="bold"))
    if listed and console.measure(drawn, options=console.options.update(max_width=10_000)).maximum > console.width:
        _print_lists([heading for heading, _ in columns], texts)
    else:
        with writing():
            console.print(drawn)


def _print_lists(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row as a list: its first cell, and below it the others that are not empty, with their headings."""
    width = max(map(len, headings[1:]))
    for name, *cells in rows:
        line(name)
        for heading, cell in zip(headings[1:], cells, strict=True):
            if cell:
                line(f"  {heading:{width}}  {cell}")


def line(text: str) -> None:
    """Print a line without colours or wrapping."""
    _print(_console(), Text(printable(text, sys.stdout)))


def _print(console: Console, text: Text) -> None:
    with writing():
        console.print(text, soft_wrap=True)


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
