"""What a thread's work warns of is told to whoever asked for it, and to nobody else."""

import threading
import warnings

import pytest

from cbir.core.errors import CbirWarning
from cbir.serve.warned import heard, sorted_by_thread


def test_each_thread_hears_its_own_warnings():
    collected: dict[str, list[str]] = {}
    turn = threading.Barrier(2)

    def work(name: str) -> None:
        with heard() as warned:
            turn.wait(10)
            for _ in range(2):  # each time, and not once for each line
                warnings.warn(f"of {name}", CbirWarning, stacklevel=1)
            collected[name] = warned

    def work_of_both() -> None:
        with sorted_by_thread():
            threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for _ in range(2):
                warnings.warn("of nobody", CbirWarning, stacklevel=1)

    with pytest.warns(CbirWarning) as printed:
        work_of_both()
    assert collected == {"one": ["of one"] * 2, "other": ["of other"] * 2}
    assert [str(one.message) for one in printed] == ["of nobody"]
