"""Progress bars on standard error, tables and lines on standard output.

Imported by commands that need it: `cbir search --json` does not wait for rich.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cbir.core.progress import Progress

_STAGES = {
    "download": "downloading",
    "list": "listing files",
    "read": "reading pictures",
    "train": "training",
    "adapt": "adapting to the pictures",
    "export": "exporting the encoder",
    "compare": "comparing with what is stored",
    "encode": "encoding and storing",
    "smooth": "averaging with neighbours",
    "index": "indexing",
    "load": "loading features",
    "queries": "encoding queries",
    "rank": "ranking",
    "copies": "searching edited copies",
    "calibrate": "trying edited copies",
    "candidates": "looking for candidates",
    "confirm": "comparing pictures",
    "draw": "drawing",
    "copy": "copying points",
    "snapshot": "writing the snapshot",
    "restore": "restoring",
    "remove": "removing points",
}


@contextmanager
def bars(*, transient: bool = False) -> Iterator[Progress]:
    """Yield a progress function that draws a bar for each stage, with the time left; `transient` bars go at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    tasks: dict[str, TaskID] = {}
    drawn = Bars(*columns, console=Console(stderr=True), transient=transient)

    def report(stage: str, done: int, total: int | None, note: str = "") -> None:
        if not tasks:
            drawn.start()  # not before: it would print an empty line
        if stage not in tasks:
            tasks[stage] = drawn.add_task(_STAGES.get(stage, stage), total=total, note=note)
        elif done < drawn.tasks[tasks[stage]].completed:
            drawn.reset(tasks[stage])  # the next encoder begins the same stage
        drawn.update(tasks[stage], completed=done, total=total, note=note)

    try:
        yield report
    finally:
        if tasks:
            drawn.stop()


def table(
    title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[object]], *, listed: bool = False
) -> None:
    """Print a table; each column is a heading and whether it holds numbers.

    Where the terminal is too narrow, long cells continue on the next line; or, if `listed`, each row is printed as a
    list under its first cell, so that names and paths stay whole.
    """
    rows = list(rows)
    drawn = Table(header_style="bold")
    for heading, numeric in columns:
        drawn.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = 10_000  # a file or a pipe has no width
    if title:  # rich would wrap a title of the table itself at the table's width
        console.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    if listed and console.measure(drawn, options=console.options.update(max_width=10_000)).maximum > console.width:
        _print_lists([heading for heading, _ in columns], rows)
    else:
        console.print(drawn)


def _print_lists(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print each row as a list: its first cell, and below it the others that are not empty, with their headings."""
    width = max(map(len, headings[1:]))
    for name, *cells in rows:
        line(str(name))
        for heading, cell in zip(headings[1:], cells, strict=True):
            if cell != "":
                line(f"  {heading:{width}}  {cell}")


def line(text: str) -> None:
    """Print a line without markup, colours or wrapping."""
    Console().print(escape(text), highlight=False, soft_wrap=True)


def size(count: int) -> str:
    """Return a number of bytes with a unit, such as `1.5 MB`."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
