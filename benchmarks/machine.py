"""What the machine gives a process that is measured, by Linux's means: memory, and files in the system's cache."""

import os
from contextlib import suppress
from pathlib import Path


def limit(pid: int, most: float) -> None:
    """Bound the memory of a process, the pages of its files among it, by a control group of Linux's."""
    root = next(each for each in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if each.is_dir())
    for left in root.glob("cbir-benchmark-*"):
        with suppress(OSError):  # still used
            left.rmdir()
    group = root / f"cbir-benchmark-{pid}"
    group.mkdir()
    bound = next(each for each in ("memory.limit_in_bytes", "memory.max") if (group / each).exists())
    (group / bound).write_text(str(int(most)))
    (group / "cgroup.procs").write_text(str(pid))


def forget(folder: Path) -> None:
    """Have the system write a folder's files to disk, and drop them from its cache."""
    for path in _files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def remember(folder: Path) -> None:
    """Have the system read a folder's files into its cache."""
    for path in _files(folder):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def resident() -> int:
    """Return the bytes of memory that this process has, mapped files among them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
