"""Ray, started on this machine or met on a cluster, and how many workers it has room for.

In: what the user asked for. Out: a connection for the time of a block, and counts. Ray's own output stays out of the
terminal, its dashboard is not started, and it sends nothing to its makers.
"""

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from cbir.core.errors import CbirError, first_line, warn_caller
from cbir.core.extras import to_install
from cbir.core.partial import held, is_left, is_partial, partial_of
from cbir.core.workers import usable_cores
from cbir.model.quiet import without_lines

#: Seconds until an address has to answer.
_ANSWERS_IN = 5.0
#: Ray says by environment variables what it leaves out; they have to be there before it is imported.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
#: Of the cores: when half of the machines are lost, the others take all actors, and none waits for ever.
_CLAIMED = 0.5
#: What Ray says all the same.
_NOISE = rb"RAY_BACKEND_LOG_LEVEL|^\[[-0-9]+ [:,0-9]+ \w \d+ \d+\] \w+\.cc:"
#: Ray puts sockets into its folder, whose paths have 107 characters at the most: its own part takes some 64, ours 31.
_LONGEST_FOLDER = 12


@dataclass(frozen=True)
class Machines:
    """Where the work is done, and by how many.

    Attributes
    ----------
    address : str or None
        Of a cluster, `HOST:PORT` or `auto`; None: `RAY_ADDRESS`, else this machine alone.
    workers, read_workers : int or None
        Actors that encode, and that read; None: as many as there is room for.
    gpus_per_worker : float
        That each encoder needs; less than 1 where they share one.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float = 0.0
    read_workers: int | None = None

    def __post_init__(self) -> None:
        for option, count in (("--workers", self.workers), ("--read-workers", self.read_workers)):
            if count is not None and count < 1:
                raise CbirError(f"{option} must be at least 1, not {count}")
        if self.gpus_per_worker < 0:
            raise CbirError(f"--gpus-per-worker must be at least 0, not {self.gpus_per_worker:g}")


@dataclass(frozen=True)
class Room:
    """How many actors there are of each kind, and how much of a core Ray reserves for each."""

    readers: int
    storers: int
    cores: float

    @classmethod
    def of(cls, machines: Machines, cores: float, gpus: float) -> "Room":
        """Return what fits; more actors than cores share them.

        Raises
        ------
        CbirError
            There is no GPU for an encoder.
        """
        each = machines.gpus_per_worker
        if each > gpus:
            raise CbirError(f"--gpus-per-worker {each:g}: the cluster has {gpus:g} GPUs")
        most = max(1, int(gpus / each)) if each else max(1, int(cores) // 2)
        storers = machines.workers or most
        if each and storers > most:
            raise CbirError(f"--workers {storers} with {each:g} GPUs each: the cluster has {gpus:g}")
        readers = machines.read_workers or max(1, int(cores) - storers)
        share = int(100 * cores * _CLAIMED / (readers + storers)) / 100
        return cls(readers, storers, min(_CLAIMED, max(0.01, share)))


def check(machines: Machines) -> None:
    """Refuse what Ray would not do, or wait for in vain, before any work is begun; raises as `connected`."""
    with without_lines(_NOISE):
        ray = _imported()
    if not ray.is_initialized() and (address := _address(machines)) != "local":
        _check_answers(address)


@contextmanager
def connected(machines: Machines) -> Iterator[Room]:
    """Start Ray, or connect to a cluster, and leave it at the end; one that the caller has connected to stays.

    Raises
    ------
    CbirError
        No Ray is installed, nothing answers, or what answers is another version.
    """
    ray = _imported()
    if ray.is_initialized():
        yield _room(ray, machines)
        return
    address = _address(machines)
    local = address == "local"
    with _folder() if local else nullcontext() as folder, _token() if local else nullcontext():
        quietly: dict[str, Any] = {}
        if folder is not None:
            quietly = {"num_cpus": usable_cores(), "include_dashboard": False, "_temp_dir": str(folder)}
        try:
            with without_lines(_NOISE):
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **quietly)
            _keep_signals()
            # `log_to_driver` leaves out what workers print, and not that one died: on standard output, amid the JSON.
            ray._private.worker._worker_logs_enabled = False
            room = _room(ray, machines)
            if not local:
                warn_if_busy(ray.available_resources().get("CPU", 0.0), room)
            yield room
        except (RuntimeError, OSError, ValueError) as error:
            if ray.is_initialized():  # it is not Ray's
                raise
            raise CbirError(_refusal(error, address, ray.__version__)) from error
        finally:
            ray.shutdown()


@contextmanager
def _token() -> Iterator[None]:
    """Have Ray take orders from this command alone, and by a token that it need not write into the user's home."""
    given = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    if not any(given.values()):
        os.environ["RAY_AUTH_TOKEN"] = _own_token()
    try:
        yield
    finally:  # Ray sets the mode itself
        for name, value in given.items():
            if value is None:
                os.environ.pop(name, None)


@cache
def _own_token() -> str:
    """Return the same token each time: Ray keeps the first one that this process has."""
    return secrets.token_hex(32)


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder for Ray's sockets and logs, and remove it at the end, as well as those of processes that died."""
    usual = Path(tempfile.gettempdir())
    short = Path("/tmp")  # noqa: S108 - a folder of its own is made there
    place = (short if len(str(usual)) > _LONGEST_FOLDER and short.is_dir() else usual) / "cbir"
    for left in place.parent.iterdir():
        if is_partial(left, place) and is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = partial_of(place)
    folder.mkdir(mode=0o700)
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def warn_if_busy(free: float, room: Room) -> None:
    """Warn that nothing begins until others let go of a cluster's cores: Ray waits for that without a word."""
    if free < 2 * room.cores:
        warn_caller(
            f"the cluster has {free:g} cores free, as other work goes on there: the ingest begins as soon as there is "
            "room for a reader and an encoder"
        )


def _keep_signals() -> None:
    """Have Python's own handlers answer again: Ray's prints a stack in C++ first."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def _imported() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise CbirError(f"--on ray needs Ray ({first_line(error)}): {to_install('distributed')}") from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray


def _address(machines: Machines) -> str:
    return machines.address or os.environ.get("RAY_ADDRESS") or "local"


def _room(ray: ModuleType, machines: Machines) -> Room:
    there = ray.cluster_resources()
    return Room.of(machines, there.get("CPU", 1.0), there.get("GPU", 0.0))


def _check_answers(address: str) -> None:
    """Refuse an address that Ray would wait for in vain."""
    if address == "auto":
        return
    if "://" in address:
        raise CbirError(
            f"--ray {address}: name the cluster's own address, HOST:6379, and start Ray on this machine too: "
            "ray start --address=HOST:6379"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CbirError(f"--ray {address}: write the address like HOST:6379, or auto for a cluster of this machine")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_IN).close()
    except OSError as error:
        raise CbirError(
            f"no Ray cluster answers at {address} ({error.strerror or error}): check the address, and that `ray start "
            "--head` runs there"
        ) from None


def _refusal(error: BaseException, address: str, here: str) -> str:
    """Return why Ray would not start, or not connect, in words."""
    reason = str(error)
    if "ersion mismatch" in reason:
        versions = [line.strip() for line in reason.splitlines() if "Ray:" in line or "Python:" in line]
        told = f" ({'; '.join(versions)})" if versions else ""
        return (
            f"the cluster at {address} has another version of Ray or Python than this machine, which has Ray {here}"
            f"{told}: install the same on both"
        )
    if address == "local":
        return f"Ray cannot be used on this machine: {first_line(error)}"
    return (
        f"Ray cannot be used at {address}: {first_line(error)}. If the cluster asks for a token, set "
        "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
    )
