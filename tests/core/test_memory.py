"""A worker's memory is bounded while a block runs; nobody else's is."""

import resource
import sys

import numpy as np
import pytest

from cbir.core.memory import bounded_memory
from cbir.core.processes import Processes

SPACE = 1 << 28


def take(count: int) -> int:
    with bounded_memory(SPACE):
        return int(np.ones(count, np.uint8)[-1])


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_AS)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not bound memory")
def test_a_worker_takes_no_more_than_it_may():
    with Processes(1) as workers:
        before = workers.call(60, limit)
        assert workers.call(60, take, SPACE // 4) == 1
        with pytest.raises(MemoryError):
            workers.call(60, take, SPACE)
        assert workers.call(60, limit) == before
    assert take(SPACE) == 1, "this process is no worker"
