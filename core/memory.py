"""A bound on the memory of a worker process: what a file claims to need is refused, not taken from everybody.

In: bytes. Out: a block in which what would take more raises MemoryError, or ends the worker.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cbir.core import processes

_MAPPED = Path("/proc/self/statm")


@contextmanager
def bounded_memory(space: int) -> Iterator[None]:
    """Bound a worker's memory while the block runs.

    Nothing is bounded in a process that is no worker of `cbir.core.processes`, whose other threads would be bounded as
    well, nor where the system cannot do it.

    Parameters
    ----------
    space : int
        Bytes of address space beyond what is mapped already, files that are mapped included.
    """
    if sys.platform != "linux" or not processes.is_worker():
        yield
        return
    import resource

    mapped = int(_MAPPED.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = mapped + space
    resource.setrlimit(resource.RLIMIT_AS, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
