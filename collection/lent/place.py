"""Where a process that lends collections can be reached: a socket in a folder of the home that is its user's alone.

In: the folder of embedded collections. Out: a socket that listens, or one that is connected. Where the path is too long
for a socket, or the disk holds none, the socket is in a temporary folder, which a file in the home names. What a killed
process left is removed by whoever finds it. Windows has no such sockets for Python.
"""

import contextlib
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cbir.core.atomic import write_atomic

_FOLDER, _SOCKET, _POINTER, _LOCK = "lending", "socket", "elsewhere", "lock"

#: Bytes of a socket's path: the least that systems take is 104, with a zero at the end.
_LONGEST = 100

#: Seconds for which a folder may be swept.
_MOMENT = 0.5

#: Seconds in which a process that lends accepts a connection, when as many wait as the system lets.
_PATIENCE = 10.0

#: What this process listens at: it does not borrow from itself. With its id, as forks inherit the set.
_own: set[tuple[int, Path]] = set()


def lends_here(collections: Path) -> bool:
    """Tell whether this process itself lends what is in a folder of collections."""
    return (os.getpid(), _folder(collections)) in _own


def connected(collections: Path) -> socket.socket | None:
    """Return a connection to the process that lends what is in a folder of collections; None if there is none.

    It is of the same user: another's is not spoken to.
    """
    folder = _folder(collections)
    if sys.platform == "win32" or (os.getpid(), folder) in _own:
        return None
    try:
        address = _address(folder)
    except OSError:  # another user's, who lends nothing to this one
        return None
    if address is None:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection, address)
        if is_same_user(connection):
            return connection
    except ConnectionRefusedError:  # nobody listens any more
        with contextlib.suppress(OSError), _locked(folder) as alone:
            if alone:
                _sweep(folder)
    except OSError:
        pass
    connection.close()
    return None


def _connect(connection: socket.socket, address: Path) -> None:
    """Connect; OSError, also if a process that hangs has not accepted those before."""
    until = time.monotonic() + _PATIENCE
    connection.settimeout(_PATIENCE)
    while True:
        try:
            connection.connect(str(address))
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.02)
        else:
            connection.settimeout(None)
            return


@contextlib.contextmanager
def listening(collections: Path) -> Iterator[socket.socket | None]:
    """Yield a socket that others of this user reach with `connected`; None if another process listens already.

    Raises
    ------
    OSError
        As the system gives it.
    """
    if sys.platform == "win32":
        yield None
        return
    folder = _folder(collections)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with _locked(folder, _MOMENT) as alone, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        if not alone:
            yield None
            return
        _sweep(folder)
        _bind(listener, folder)
        listener.listen(64)
        own = (os.getpid(), folder)
        _own.add(own)
        try:
            yield listener
        finally:
            _own.discard(own)
            _sweep(folder)


def is_same_user(connection: socket.socket) -> bool:
    """Tell whether the other end of a connection is this user's; where the system does not say, the files' modes do."""
    if sys.platform != "linux":
        return True
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.geteuid())


def _folder(collections: Path) -> Path:
    return Path(os.path.realpath(collections)).with_name(_FOLDER)


def _address(folder: Path) -> Path | None:
    """Return the path of the socket, as far as there is one."""
    if (folder / _SOCKET).exists():
        return folder / _SOCKET
    try:
        return Path(os.fsdecode((folder / _POINTER).read_bytes()))
    except OSError:
        return None


def _bind(listener: socket.socket, folder: Path) -> None:
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST:
        with contextlib.suppress(OSError):  # a disk that holds no sockets
            _bind_to(listener, folder / _SOCKET)
            return
    elsewhere = Path(tempfile.mkdtemp(prefix="cbir-"))  # mode 0700
    _bind_to(listener, elsewhere / _SOCKET)
    write_atomic(folder / _POINTER, os.fsencode(elsewhere / _SOCKET))


def _bind_to(listener: socket.socket, path: Path) -> None:
    listener.bind(str(path))
    path.chmod(0o600)


def _sweep(folder: Path) -> None:
    """Remove a socket that nobody listens at; the lock is held."""
    address = _address(folder)
    if address is not None and address.parent != folder and address.name == _SOCKET:
        with contextlib.suppress(OSError):
            address.unlink()
            address.parent.rmdir()
    for name in (_SOCKET, _POINTER):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock of whoever listens, and yield True; yield False if another does. The system releases it.

    Who only sweeps has it for less than the seconds of `patience`.
    """
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    with (folder / _LOCK).open("ab") as lock:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    yield False
                    return
                time.sleep(0.02)
        yield True
