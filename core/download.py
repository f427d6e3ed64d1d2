"""One file over HTTP: complete and with the expected SHA-256, or not there at all.

In: an address, a path and a SHA-256. Out: the file. What the network or the
server does wrong for a moment is tried again. What has arrived is kept beside
the file and continued from, by the next attempt or the next call.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.core.digest import has_sha256, sha256_of
from cbir.core.errors import CbirError, first_line
from cbir.core.progress import Progress, silent

if TYPE_CHECKING:
    import httpx

#: Seconds without a byte until an attempt is given up, attempts, and the longest wait between two, in seconds.
_TIMEOUT, _ATTEMPTS, _MAX_WAIT = 30, 3, 4


class DownloadError(CbirError):
    """A file that cannot be fetched, or is another one than expected."""


class ChecksumError(DownloadError):
    """A file that was fetched and is another one than expected, of `size` bytes."""

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


def download(url: str, path: Path, sha256: str, *, progress: Progress = silent) -> None:
    """Fetch a file unless it is there already with this SHA-256.

    Parameters
    ----------
    url : str
    path : Path
        Its folder is made if need be.
    sha256 : str
        64 hexadecimal digits.
    progress : Progress
        Stage `download`, in bytes.

    Raises
    ------
    DownloadError
        No network, no such file, another content than expected (ChecksumError), or the file cannot be written.
    """
    try:
        _download(url, path, sha256, progress)
    except OSError as error:
        raise DownloadError(f"{path.parent} cannot be written to: {error.strerror or first_line(error)}") from error


def _download(url: str, path: Path, sha256: str, progress: Progress) -> None:
    if has_sha256(path, sha256):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:100]}.{sha256[:16]}.partial")
    with _alone(partial, path.name, progress):
        if has_sha256(path, sha256):  # another process was faster
            return
        resumed = partial.is_file()
        if not has_sha256(partial, sha256):
            _fetch(url, partial, path.name, progress)
        arrived = sha256_of(partial)
        if arrived != sha256 and resumed:  # what was there did not belong to it
            partial.unlink()
            _fetch(url, partial, path.name, progress)
            arrived = sha256_of(partial)
        if arrived != sha256:
            size = partial.stat().st_size
            partial.unlink()
            raise ChecksumError(f"{url}: checksum mismatch (SHA-256 is {arrived}, expected {sha256})", size)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)


def _fetch(url: str, partial: Path, note: str, progress: Progress) -> None:
    """Write what is missing of a file, in a few attempts."""
    import httpx
    import tenacity

    def passing(error: BaseException) -> bool:
        """Tell whether another attempt may help. Without any connection it does not: say so at once."""
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code == 429 or error.response.status_code >= 500
        return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ConnectError)

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=_MAX_WAIT),
        reraise=True,
    )
    try:
        attempts(_continue, url, partial, note, progress)
    except httpx.HTTPStatusError as error:
        response = error.response
        raise DownloadError(f"{url}: the server answered {response.status_code} {response.reason_phrase}") from None
    except httpx.ConnectError as error:
        raise DownloadError(f"{url}: no connection ({first_line(error)})") from None
    except httpx.HTTPError as error:
        kept = "; what has arrived is kept, and the next try continues it" if partial.is_file() else ""
        raise DownloadError(f"{url}: {first_line(error)}{kept}") from None


def _continue(url: str, partial: Path, note: str, progress: Progress) -> None:
    """Append to what there is of a file; begin anew if the server does not give parts, or not this one."""
    import httpx

    have = partial.stat().st_size if partial.is_file() else 0
    # The bytes as they are stored: a server may offer to compress what is compressed already.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT) as response:
        fits = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        other_part = response.status_code == httpx.codes.PARTIAL_CONTENT and not fits
        if not have or not (other_part or response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
            response.raise_for_status()
            have = have if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
            _write(response, partial, have, note, progress)
            return
    partial.unlink()
    _continue(url, partial, note, progress)


def _write(response: "httpx.Response", partial: Path, have: int, note: str, progress: Progress) -> None:
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    with partial.open("ab" if have else "wb") as file:
        for chunk in response.iter_raw():
            file.write(chunk)
            have += len(chunk)
            progress("download", have, total, note)


@contextmanager
def _alone(partial: Path, name: str, progress: Progress) -> Iterator[None]:
    """Keep other processes from writing the same partial file at once; say so while waiting for one."""
    from filelock import FileLock, Timeout

    path = partial.with_name(f"{partial.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("download", 0, None, f"{name}, which another process is downloading")
        lock.acquire()
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()
        lock.release()
