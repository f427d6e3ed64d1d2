"""Worker processes: results, errors, and calls that crash, hang, print or are closed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cbir.core import processes
from cbir.core.errors import CbirError
from cbir.core.processes import ProcessError, Processes, usual_processes
from cbir.core.turn import one_call, turn

ROOT = Path(__file__).parents[2]


def test_results_and_arrays_come_back():
    values = np.arange(300_000, dtype=np.float32).reshape(100, 3000)
    with Processes(1) as workers:
        assert workers.call(10, divmod, 17, 5) == (3, 2)
        assert workers.call(10, int, "ff", base=16) == 255
        assert np.array_equal(workers.call(10, np.flip, values), np.flip(values))
        assert workers.call(10, os.getpid) != os.getpid()


def test_errors_are_raised_here():
    with Processes(1) as workers:
        with pytest.raises(ZeroDivisionError, match="division"):
            workers.call(10, divmod, 1, 0)
        assert workers.call(10, abs, -1) == 1, "the process goes on"


def test_a_base_exception_is_an_error_as_any_other():
    with Processes(1) as workers:
        with pytest.raises(ProcessError):
            workers.call(10, sys.exit, "out")
        assert workers.call(10, abs, -1) == 1


def test_a_function_that_is_not_found_there_is_an_error():
    with Processes(1) as workers, pytest.raises(Exception, match="lambda"):
        workers.call(10, lambda: 1)


def test_a_crash_ends_its_call_alone():
    with Processes(2) as workers:
        before = workers.call(10, os.getpid)
        with pytest.raises(ProcessError, match=r"crashed \(SIGSEGV"):
            workers.call(10, signal.raise_signal, signal.SIGSEGV)
        with pytest.raises(ProcessError, match="killed, as happens when memory runs out"):
            workers.call(10, signal.raise_signal, signal.SIGKILL)
        with pytest.raises(ProcessError, match="exit code 3"):
            workers.call(10, os._exit, 3)
        assert workers.call(10, os.getpid) != before


def test_what_never_ends_is_stopped():
    with Processes(1) as workers:
        with pytest.raises(ProcessError, match=r"takes more than 0\.3 seconds"):
            workers.call(0.3, time.sleep, 100)
        assert workers.call(10, abs, -1) == 1


def test_what_a_library_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]):
    with Processes(1) as workers:
        assert workers.call(10, os.write, 1, b"a decoder's line") == 16
        assert workers.call(10, os.write, 2, b"a decoder's line") == 16
        assert workers.call(10, abs, -1) == 1
    assert capfd.readouterr() == ("", "")


def test_threads_share_the_processes():
    with Processes(2) as workers, ThreadPoolExecutor(8) as threads:
        found = [threads.submit(workers.call, 10, pow, 2, n) for n in range(200)]
        assert [each.result() for each in found] == [2**n for n in range(200)]
        seen = {each.result() for each in [threads.submit(workers.call, 10, os.getpid) for _ in range(50)]}
    assert 1 <= len(seen) <= 2


def test_closing_stops_what_is_in_work():
    workers = Processes(1)
    stopped: list[str] = []

    def wait() -> None:
        try:
            workers.call(100, time.sleep, 100)
        except ProcessError as error:
            stopped.append(str(error))

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while not workers._busy:
        time.sleep(0.01)
    workers.close()
    for thread in waiting:
        thread.join(10)
    assert stopped == ["it was cancelled", "it was cancelled"], "the one that waited has not begun"


def test_processes_are_used_again_and_not_when_they_may_end(monkeypatch: pytest.MonkeyPatch):
    with Processes(1) as workers:
        first = workers.call(10, os.getpid)
    with Processes(1) as workers:
        assert workers.call(10, os.getpid) == first
        monkeypatch.setattr(processes, "_FRESH_SECONDS", -1)
        assert workers.call(10, os.getpid) != first


def test_a_process_that_ended_while_it_had_nothing_to_do_is_replaced():
    with Processes(1) as workers:
        first = workers.call(10, os.getpid)
        os.kill(first, signal.SIGKILL)
        process = processes._stock._idle[-1]
        process._popen.wait(10)
        assert workers.call(10, os.getpid) != first


def take_turns(place: Path, seconds: float) -> tuple[float, float]:
    """Have a turn, in which nobody else may be; return when it began and ended."""
    with turn():
        began = time.monotonic()
        place.mkdir()
        time.sleep(seconds)
        place.rmdir()
        ended = time.monotonic()
    with turn():
        return began, ended


def test_turns_are_taken_one_at_a_time_among_processes_and_threads(tmp_path: Path):
    place = tmp_path / "taken"
    with Processes(3) as workers, ThreadPoolExecutor(6) as threads:
        there = [threads.submit(workers.call, 10, take_turns, place, 0.05) for _ in range(8)]
        here = [threads.submit(take_turns, place, 0.05) for _ in range(2)]
        times = sorted(each.result() for each in there + here)
        assert all(first[1] <= second[0] for first, second in pairwise(times))


def test_waiting_for_a_turn_is_not_counted_and_a_crash_ends_a_turn(tmp_path: Path):
    place = tmp_path / "taken"
    with Processes(2) as workers, ThreadPoolExecutor(2) as threads:
        with turn():
            waiting = threads.submit(workers.call, 0.5, take_turns, place, 0.0)
            time.sleep(1)
            assert not waiting.done()
        assert waiting.result()
        with pytest.raises(ProcessError, match="more than"):
            workers.call(0.3, take_turns, place, 100.0)
    with turn():
        assert place.exists()


def test_a_turn_lasts_until_the_call_ends(tmp_path: Path):
    """What was decoded in a turn is held until then."""

    def called(whole: bool) -> tuple[float, float]:
        with one_call() if whole else nullcontext(), one_call():
            began, _ = take_turns(tmp_path / "taken", 0.01)  # twice
            time.sleep(0.03)
            return began, time.monotonic()

    with ThreadPoolExecutor(4) as threads:
        times = sorted(threads.map(called, [True, False] * 4))
    assert all(first[1] <= second[0] for first, second in pairwise(times))
    with Processes(0) as here, ThreadPoolExecutor(4) as threads:
        each = [threads.submit(here.call, 10, called, True) for _ in range(4)]
        times = sorted(done.result() for done in each)
    assert all(first[1] <= second[0] for first, second in pairwise(times))
    with pytest.raises(ZeroDivisionError), one_call(), turn():
        raise ZeroDivisionError
    with turn():
        pass


def test_without_processes_calls_are_made_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_PROCESSES", "0")
    with Processes() as workers:
        assert workers.call(10, os.getpid) == os.getpid()


def test_where_no_process_can_be_started_calls_are_made_here(monkeypatch: pytest.MonkeyPatch):
    processes._stock.empty()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Processes(1) as workers:
        assert workers.call(10, os.getpid) == os.getpid()
    with Processes(1, apart=True) as workers, pytest.raises(ProcessError, match="no process can be started"):
        workers.call(10, os.getpid)


@pytest.mark.parametrize(("given", "expected"), [("3", 3), (" 0 ", 0)])
def test_the_number_can_be_chosen(given: str, expected: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_PROCESSES", given)
    assert usual_processes() == expected


def test_a_number_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_PROCESSES", "many")
    with pytest.raises(CbirError, match="CBIR_PROCESSES is 'many'"):
        usual_processes()


def test_a_script_without_a_main_guard_and_its_killed_end(tmp_path: Path):
    """The script is not run again by its processes, and they end with it even if nothing could be tidied up."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from cbir.core.processes import Processes\n"
        "print(Processes(1).call(10, os.getpid), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    (pid,) = done.stdout.split()
    assert_ends(int(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="there, it ends when the call is over")
def test_a_process_in_a_long_call_ends_with_whoever_asked(tmp_path: Path):
    code = (
        "import threading\n"
        "workers = Processes(1)\n"
        "threading.Thread(target=workers.call, args=(1000, time.sleep, 1000), daemon=True).start()\n"
        "while not workers._busy: time.sleep(0.01)\n"
        "print(*(each._popen.pid for each in workers._busy), flush=True)\n"
    )
    with asking(tmp_path, code) as pid:
        until_asleep(pid)
    assert_ends(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="there, it ends when the call is over")
def test_a_process_whose_asker_was_killed_before_the_call_began_ends_too(tmp_path: Path):
    code = (
        "class Late:\n"
        "    def __reduce__(self): return eval, (\"__import__('time').sleep(0.5) or 1000\",)\n"
        "process = _Process()\n"
        "process.call(10, abs, (-1,), {})\n"
        "_send(process._to, (1000, time.sleep, (Late(),), {}))\n"
        "print(process._popen.pid, flush=True)\n"
    )
    with asking(tmp_path, code) as pid:
        pass
    assert_ends(pid)


@contextmanager
def asking(folder: Path, code: str) -> Iterator[int]:
    """Run code that asks a worker process and prints its number, which is yielded; then the code is killed."""
    script = folder / "script.py"
    head = f"import sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
    names = "from cbir.core.processes import Processes, _Process, _send\n"
    script.write_text(f"{head}{names}{code}time.sleep(1000)\n")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        yield pid
        process.kill()


def until_asleep(pid: int) -> None:
    """Wait until a process is in `time.sleep`: it no longer reads what it is asked."""
    deadline = time.monotonic() + 10
    while "nanosleep" not in Path(f"/proc/{pid}/wchan").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)


def assert_ends(pid: int) -> None:
    """Check that a process, which nobody may wait for any more, ends."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break  # ended; whoever took it over has not asked yet
        time.sleep(0.05)
    else:
        assert time.monotonic() < deadline
