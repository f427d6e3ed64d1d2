"""Worker processes: a call that crashes or never ends, ends alone.

In: a function of a module, and arguments that can be pickled. Out: what it returns or raises, from another process of
the same Python. C libraries that decode other people's files crash (a segmentation fault cannot be caught) and loop;
and threads that decode small pictures wait for Python's lock: on 16 cores, 320x240 JPEGs as inputs of 224x224 came
from processes at 4,900 a second, and from threads at 1,100 at the most.

Not `multiprocessing`: its processes run the caller's script again, which one without `if __name__ == "__main__"`
does not survive, and its pools wait for ever for a process that is gone.
"""

import atexit
import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ParamSpec, Self, TypeVar

from cbir.core.errors import CbirError, first_line
from cbir.core.turn import ask_for_turns, one_call, turn
from cbir.core.workers import usable_cores

P = ParamSpec("P")
R = TypeVar("R")

#: Processes at the most, by default. More do not decode faster: one process has to hand out the work.
MOST_PROCESSES = 16
#: A process without a call ends itself after so many seconds, and is not given one shortly before.
_IDLE_SECONDS, _FRESH_SECONDS = 20.0, 15.0
#: The number of a message's parts, and their lengths: a pickle, and the large buffers that it refers to.
_COUNT, _LENGTH = struct.Struct("<I"), struct.Struct("<Q")
#: Bytes that a pipe holds, where that can be chosen: a picture's pixels in one go.
_PIPE = 1 << 20
#: Bytes written or read by one call of the system, which some systems limit.
_MOST_AT_ONCE = 1 << 30
#: Of 1000: where memory runs out, Linux ends one of these processes before the one that started them.
_EXPENDABLE, _OOM_SCORE = "700", Path("/proc/self/oom_score_adj")
#: Asks for a turn, and gives one: in place of an answer.
_TURN = "turn"
_START = "import sys; sys.path[:] = {path!r}; from cbir.core.processes import serve; serve()"


class ProcessError(CbirError):
    """A call without a result: its process crashed, was stopped, or took too long. The message says which."""


class Processes:
    """Worker processes, started as they are needed, each with one call at a time; threads share them.

    Closing ends those in the middle of a call. Those without one wait for the next `Processes`, for some seconds.

    Parameters
    ----------
    most : int, optional
        Processes at the most; further calls wait. By default what `CBIR_PROCESSES` says, else one for each usable
        core, `MOST_PROCESSES` at the most. 0: calls are made in this process.
    apart : bool
        Where no process can be started, a call is an error, and not made in this process: what is called has to do
        with files of people whom nobody knows.
    """

    def __init__(self, most: int | None = None, *, apart: bool = False) -> None:
        self._apart = apart
        self.most = usual_processes() if most is None else most
        self._free = threading.Semaphore(self.most)
        self._lock = threading.Lock()
        self._busy: set[_Process] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a process; its exceptions are raised here.

        Parameters
        ----------
        seconds : float
            A call that takes longer is stopped, and its process with it.
        function : callable
            A module's, found by its name. It, its arguments, its result and its exceptions are pickled; the data of
            arrays are not copied by that.

        Raises
        ------
        ProcessError
            The process crashed, ran out of memory, took too long, was closed meanwhile, or cannot be started where the
            call must not be made in this one.
        """
        if not self.most:
            with one_call():
                return function(*args, **kwargs)
        with self._free:
            if self._closed:
                raise ProcessError("it was cancelled")
            process = self._take()
            if process is None:  # none can be started here: better in this process than not at all
                if self._apart:
                    raise ProcessError("no process can be started for it")
                with one_call():
                    return function(*args, **kwargs)
            try:
                worked, result = process.call(seconds, function, args, kwargs)
            except BaseException as error:
                process.end()
                if isinstance(error, OSError | EOFError):
                    raise ProcessError(self._cause(process)) from None
                raise
            finally:
                with self._lock:
                    self._busy.discard(process)
            _stock.put(process)
        if not worked:
            raise result
        return result

    def close(self) -> None:
        """End the processes of calls that are in work."""
        with self._lock:
            self._closed = True
            for process in self._busy:
                process.kill()

    def _take(self) -> "_Process | None":
        process = _stock.take()
        if process is None:
            try:
                process = _Process()
            except OSError:
                return None
        with self._lock:
            if self._closed:
                process.kill()
            self._busy.add(process)
        return process

    def _cause(self, process: "_Process") -> str:
        return "it was cancelled" if self._closed else process.cause()


def usual_processes() -> int:
    """Return how many processes there are by default: `CBIR_PROCESSES`, else one for each usable core, up to a limit.

    Raises
    ------
    CbirError
        `CBIR_PROCESSES` is no number.
    """
    if not (given := os.environ.get("CBIR_PROCESSES", "").strip()):
        return min(MOST_PROCESSES, usable_cores())
    if not given.isdecimal():
        raise CbirError(f"CBIR_PROCESSES is '{given}'; set it to a number of processes, or 0 for none")
    return int(given)


class _Process:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        self._allowed, self._began = 0.0, 0.0
        self._freed = time.monotonic()
        self._popen = subprocess.Popen(  # noqa: S603 - it is ourselves
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libtiff, Pillow and Rust print is not for users
            bufsize=0,
        )
        if self._popen.stdin is None or self._popen.stdout is None:
            raise OSError("no pipes")
        self._to, self._from = self._popen.stdin, self._popen.stdout
        for pipe in (self._to, self._from):
            _enlarge(pipe)

    @property
    def fresh(self) -> bool:
        """Whether it is there, and will not end itself before a call reaches it."""
        return time.monotonic() - self._freed < _FRESH_SECONDS and self._popen.poll() is None

    def call(
        self, seconds: float, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[bool, Any]:
        """Return whether it worked, and the result or the error."""
        self._allowed, self._began = seconds, time.monotonic()
        _send(self._to, (seconds, function, args, kwargs))
        answer = _loaded(*_receive(self._from))
        if answer == _TURN:
            with turn():
                self._began = time.monotonic()
                _send(self._to, _TURN)
                answer = _loaded(*_receive(self._from))
        self._freed = time.monotonic()
        worked, result = answer
        return worked, result

    def cause(self) -> str:
        """Return why there was no answer, once the process has ended."""
        if time.monotonic() - self._began >= self._allowed:
            return f"it takes more than {self._allowed:g} seconds"
        code = self._popen.wait()
        if code >= 0:
            return f"its process ended with exit code {code}"
        if -code == getattr(signal, "SIGKILL", None):
            return "its process was killed, as happens when memory runs out"
        return f"its process crashed ({signal.Signals(-code).name})"

    def kill(self) -> None:
        """Stop the process, which has nothing to lose."""
        self._popen.kill()

    def end(self) -> None:
        """Stop the process, and free what it holds here."""
        self.kill()
        self._popen.wait()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                pipe.close()


class _Stock:
    """Processes without a call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        atexit.register(self.empty)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._idle.clear)  # they answer one process alone

    def take(self) -> _Process | None:
        with self._lock:
            while self._idle:
                if (process := self._idle.pop()).fresh:
                    return process
                process.end()
        return None

    def put(self, process: _Process) -> None:
        with self._lock:
            self._idle.append(process)

    def empty(self) -> None:
        while (process := self.take()) is not None:
            process.end()


_stock = _Stock()
_is_worker = False


def is_worker() -> bool:
    """Return whether this process is a worker, which answers one call at a time and nobody else."""
    return _is_worker


def serve() -> None:
    """Answer calls until the other process ends or closes the pipe: what a worker process runs."""
    global _is_worker
    _is_worker = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    with contextlib.suppress(OSError):
        _OOM_SCORE.write_text(_EXPENDABLE)
    incoming, outgoing = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # what a library prints must not stand between answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            _end_after(_IDLE_SECONDS)
            _send(outgoing, _answer(_receive(incoming), incoming, outgoing))


def _answer(request: tuple[bytearray, list[bytearray]], incoming: IO[bytes], outgoing: IO[bytes]) -> tuple[bool, Any]:
    asked = False

    def ask() -> None:
        nonlocal asked
        if not asked:  # the turn lasts until the call ends
            asked = True
            _end_after(0)  # a wait is not counted
            _end_with(incoming, wanted=False)
            _send(outgoing, _TURN)
            _receive(incoming)
            _end_with(incoming)
            _end_after(seconds)

    try:
        seconds, function, args, kwargs = _loaded(*request)
        ask_for_turns(ask)
        _end_after(seconds)
        _end_with(incoming)
        return True, function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - Rust's panics are no Exceptions
        with contextlib.suppress(Exception):
            if isinstance(error, Exception) and pickle.loads(pickle.dumps(error)):  # noqa: S301 - our own
                return False, error
        return False, ProcessError(first_line(error))
    finally:
        _end_with(incoming, wanted=False)


def _end_after(seconds: float) -> None:
    """End this process after some seconds, whatever it is doing: no exception would reach a library's loop."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)
    else:
        import faulthandler

        faulthandler.dump_traceback_later(seconds or 1e6, exit=True, file=2)


def _end_with(pipe: IO[bytes], *, wanted: bool = True) -> None:
    """End this process, or no longer, as soon as the other end of a pipe is closed, or something comes by it.

    Whoever asked may have been killed, and a call may take hours. (On Windows, and on macOS, which ignores SIGIO, the
    call goes on.)
    """
    if sys.platform != "win32":
        import fcntl
        import select

        flags = fcntl.fcntl(pipe, fcntl.F_GETFL) & ~os.O_ASYNC
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())  # it gets SIGIO, which ends it
        fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags)
        if wanted and select.select([pipe], [], [], 0)[0]:  # it was closed already, of which nothing tells
            os._exit(1)


def _send(pipe: IO[bytes], message: object) -> None:
    buffers: list[memoryview] = []
    data = pickle.dumps(message, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw()))
    lengths = [len(data), *(buffer.nbytes for buffer in buffers)]
    header = _COUNT.pack(len(lengths)) + b"".join(map(_LENGTH.pack, lengths))
    for part in (memoryview(header + data), *buffers):
        sent = 0
        while sent < part.nbytes:
            sent += pipe.write(part[sent : sent + _MOST_AT_ONCE]) or 0


def _receive(pipe: IO[bytes]) -> tuple[bytearray, list[bytearray]]:
    """Return a pickle and its buffers."""
    (count,) = _COUNT.unpack(_read(pipe, _COUNT.size))
    lengths = _read(pipe, count * _LENGTH.size)
    data, *buffers = (_read(pipe, length) for (length,) in _LENGTH.iter_unpack(lengths))
    return data, buffers


def _loaded(data: bytearray, buffers: list[bytearray]) -> Any:
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - from ourselves


def _read(pipe: IO[bytes], length: int) -> bytearray:
    content = bytearray(length)
    view, done = memoryview(content), 0
    while done < length:
        got = pipe.readinto(view[done : done + _MOST_AT_ONCE])  # type: ignore[attr-defined]
        if not got:
            raise EOFError("the pipe was closed")
        done += got
    return content


def _enlarge(pipe: IO[bytes]) -> None:
    """Let a pipe hold a picture's pixels, where the system can."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
