"""Thumbnails on disk, made once: below a bound of bytes, those not used for longest go first.

In: keys, which change with the picture's file, and WebP. Out: the WebP again, also in the next server. Whatever the
disk says, a thumbnail is only made again: nothing is an error.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

#: Seconds after which a use is written down again.
_USED_AGAIN = 3600.0
#: Share of the bound that is left after others made room, so that not every new one has to.
_LEFT = 0.9
#: Bytes that a small file takes on disk.
_BLOCK = 4096


class Thumbnails:
    """Thumbnails in a folder; threads, and processes, share it.

    Parameters
    ----------
    folder : Path
        Made when the first one is kept; nothing else is in it.
    most_bytes : int
        Of all files, as they take room on disk.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, key: str) -> bytes | None:
        """Return a thumbnail; None if there is none, or not a whole one."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            if not _is_whole(content):
                return None
            if time.time() - path.stat().st_mtime > _USED_AGAIN:
                os.utime(path)
        except OSError:
            return None
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep a thumbnail, where the disk lets us."""
        path = self._path(key)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        with self._lock:
            self._bytes = (self._scanned(remove=False) if self._bytes is None else self._bytes) + _taken(len(content))
            if self._bytes > self._most:
                self._bytes = self._scanned(remove=True)

    def _scanned(self, *, remove: bool) -> int:
        """Return the bytes of all files, after those not used for longest were removed, if that is wanted."""
        found: list[tuple[float, int, str]] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with suppress(OSError):  # another process removed it
                    path = os.path.join(folder, name)  # noqa: PTH118 - there may be many
                    status = os.stat(path)  # noqa: PTH116
                    found.append((status.st_mtime, _taken(status.st_size), path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found) if remove else ():
            if total <= _LEFT * self._most:
                break
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            total -= size
        return total

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}.webp"


def _taken(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _is_whole(content: bytes) -> bool:
    """Return whether a file has as many bytes as it says: after a power cut, some have none."""
    return content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 == len(content)
