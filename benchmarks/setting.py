"""What the measurements share: MNIST, a trained model, processes, tables."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table

import cbir
from cbir.core.settings import read_settings
from cbir.ingest.sources.catalogue import open_source
from cbir.ingest.sources.source import Source

#: Trained models and filled collections are kept from one call to the next.
RESULTS = Path("bench-results")


def mnist() -> Source:
    """Open MNIST as the command line would."""
    try:
        return open_source("mnist", read_settings().data, read_settings().cache)
    except cbir.CbirError as error:
        sys.exit(f"the benchmarks measure on MNIST: {error}")


def unpacked(name: str) -> Path:
    """Return the content of an archive that lies in a data folder, unpacked once."""
    for folder in read_settings().data:
        if (archive := folder / f"{name}.zip").is_file():
            place = RESULTS.absolute() / name
            if not place.is_dir():
                RESULTS.mkdir(exist_ok=True)
                with tempfile.TemporaryDirectory(dir=RESULTS) as complete, zipfile.ZipFile(archive) as packed:
                    packed.extractall(content := Path(complete) / name)
                    content.rename(place)
            return place
    sys.exit(f"{name}.zip was not found; name the folder that holds it with CBIR_DATA")


def kept(file: Path, measure: Callable[[], Any], *, again: bool = False) -> Any:
    """Return what was measured before, JSON values, or measure it."""
    if again or not file.exists():
        print(file.stem, file=sys.stderr, flush=True)
        measured = measure()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(measured, indent=1))
    return json.loads(file.read_text())


@contextmanager
def home(name: str | None = None) -> Iterator[Path]:
    """Work in a CBIR_HOME of its own: a kept one if it has a name."""
    before = os.environ.get("CBIR_HOME")
    with tempfile.TemporaryDirectory() as temporary:
        place = (RESULTS / name).absolute() if name else Path(temporary)
        os.environ["CBIR_HOME"] = str(place)
        try:
            yield place
        finally:
            os.environ.pop("CBIR_HOME", None)
            if before is not None:
                os.environ["CBIR_HOME"] = before


def trained(seed: int = 0) -> Path:
    """Return a CBIR_HOME with MNIST ingested by the article's recipe, made if it is not there."""
    with home(f"article-{seed}") as place:
        print(f"training on MNIST, seed {seed}, unless kept in {place}", file=sys.stderr, flush=True)
        # In a process of its own: a child's peak memory starts from its parent's, so ours must stay small.
        timed(["-m", "cbir", "ingest", "mnist", "--encoder", f"autoencoder:seed={seed}"])
    return place


@dataclass(frozen=True)
class Timed:
    """A finished process: wall seconds, those of all processors, peak memory in bytes, standard output.

    `watched_peak`: the most of what was watched, in bytes.
    """

    seconds: float
    cpu: float
    peak: int
    output: str
    watched_peak: int = 0


def timed(arguments: Sequence[str], *, watch: Callable[[int], int] | None = None, **environment: str) -> Timed:
    """Run a Python process to its end; `watch` says how much memory a process has, ten times in a second at most.

    This process asks: Qdrant Edge lets no other thread of its own run while it works.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=out, stderr=errors, env={**os.environ, **environment}
        )
        with Watched(process.pid, watch) if watch else nullcontext(None) as watched:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, errors):
            file.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(arguments)} failed:\n{errors.read().decode()[-2000:]}")
        cpu, most = usage.ru_utime + usage.ru_stime, watched.peak if watched else 0
        return Timed(seconds, cpu, usage.ru_maxrss * 1024, out.read().decode(), most)


class Watched:
    """Asks Linux again and again how much memory a process has; by default, it and its children."""

    def __init__(self, pid: int, measured: Callable[[int], int] | None = None) -> None:
        self.peak = 0
        self._pid = pid
        self._measured = measured or with_children
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            start = time.perf_counter()
            self.peak = max(self.peak, self._measured(self._pid))
            # Asking holds the process up for some milliseconds: at most for one in a hundred.
            self._ended.wait(max(0.1, 100 * (time.perf_counter() - start)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from _family(int(child))


def family_cpu() -> float:
    """Return the processor seconds of this process and of those that it started and that run still."""
    return sum(map(cpu_of, _family(os.getpid())))


def cpu_of(pid: int) -> float:
    """Return the processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_children(pid: int) -> int:
    """Return the bytes of memory that a process and those that it started have; what they share counts once."""
    return sum(map(_own_memory, _family(pid)))


def _own_memory(pid: int) -> int:
    """Return the bytes that a process has, shared ones divided by those that share them."""
    with suppress(OSError):
        for text in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if text.startswith("Pss:"):
                return int(text.split()[1]) * 1024
    return 0


def whole(arguments: Sequence[str] | None) -> list[int]:
    """Return whole numbers, which may be written as 1,000,000."""
    return [int(each.replace(",", "")) for each in arguments or ()]


def last_json(output: str) -> Any:
    """Read the JSON on the last line of a process's output."""
    return json.loads(output.strip().splitlines()[-1])


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, and the machine it holds for."""
    drawn = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        drawn.add_column(column, justify="right" if number else "left")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    console = Console(width=110)
    console.print(drawn)
    console.print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n", style="dim")
