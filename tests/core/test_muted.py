import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cbir.core.errors import CbirWarning
from cbir.core.muted import muted

ROOT = Path(__file__).parents[2]


def test_warnings_of_one_kind_are_ignored_while_the_block_runs():
    with muted(message="a nuisance", category=DeprecationWarning):
        warnings.warn("A nuisance of theirs", DeprecationWarning, stacklevel=1)
        with pytest.warns(DeprecationWarning, match="another"):
            warnings.warn("another", DeprecationWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="nuisance"):
            warnings.warn("a nuisance", UserWarning, stacklevel=1)
    with pytest.warns(DeprecationWarning, match="nuisance"):
        warnings.warn("a nuisance", DeprecationWarning, stacklevel=1)


def test_blocks_are_nested():
    with muted(), muted():
        warnings.warn("one", CbirWarning, stacklevel=1)
        with muted():
            warnings.warn("two", CbirWarning, stacklevel=1)
        warnings.warn("three", CbirWarning, stacklevel=1)
    with pytest.warns(CbirWarning):
        warnings.warn("four", CbirWarning, stacklevel=1)


@pytest.mark.parametrize("change", [lambda: warnings.simplefilter("error"), warnings.resetwarnings])
def test_filters_that_somebody_changed_before_the_block_change_nothing(change):
    with warnings.catch_warnings():
        with muted():
            pass
        change()
        with muted():
            warnings.warn("one", stacklevel=1)
        many = len(warnings.filters)
        for _ in range(100):
            with muted(), muted(message="m"):
                warnings.warn("one", stacklevel=1)
        assert len(warnings.filters) <= many + 1


def test_threads_mute_themselves_and_leave_the_filters_as_they_are():
    with warnings.catch_warnings():
        with muted():
            pass
        before = list(warnings.filters)
        start = threading.Barrier(8)

        def work(number: int) -> int:
            start.wait()
            raised = 0
            for _ in range(300):
                with muted():
                    warnings.warn("mine", stacklevel=1)
                try:
                    warnings.warn(f"everybody's {number}", stacklevel=1)  # warnings are errors here
                except UserWarning:
                    raised += 1
            return raised

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [300] * 8
        assert list(warnings.filters) == before


def test_nothing_changes_the_filters_of_the_process_but_the_command_line():
    """`warnings.catch_warnings` in a thread leaves filters behind (before Python 3.14)."""
    changing = ("catch_warnings(", "simplefilter(", "filterwarnings(", "redirect_std")
    rooms = ("core", "collection", "model", "ingest", "search", "evaluate", "cbir/verbs")
    found = [
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if any(name in path.read_text() for name in changing)
    ]
    assert found == []
