"""One file over HTTP: complete and with the expected SHA-256, or not there at all.

In: an address, a path and a SHA-256. Out: the file. What the network or the
server does wrong for a moment is tried again.
"""

import hashlib
from pathlib import Path

from cbir.core.atomic import atomic_file
from cbir.core.errors import CbirError, first_line
from cbir.core.progress import Progress, silent

_CHUNK = 1 << 18
#: Seconds without a byte until an attempt is given up, attempts, and the longest wait between two, in seconds.
_TIMEOUT, _ATTEMPTS, _MAX_WAIT = 30, 3, 4


class DownloadError(CbirError):
    """A file that cannot be fetched, or is another one than expected."""


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
        No network, no such file, or another content than expected.
    OSError
        The file cannot be written.
    """
    import httpx
    import tenacity

    if path.is_file() and _sha256(path) == sha256:
        return

    def passing(error: BaseException) -> bool:
        """Tell whether another attempt may help. Without any connection it does not: say so at once."""
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code == 429 or error.response.status_code >= 500
        return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ConnectError)

    def fetch() -> str:
        digest, done = hashlib.sha256(), 0
        # The bytes as they are stored: a server may offer to compress what is compressed already.
        headers = {"Accept-Encoding": "identity"}
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            with partial.open("wb") as file:
                for chunk in response.iter_raw(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    progress("download", done, int(length) if length.isdecimal() else None, path.name)
        return digest.hexdigest()

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=_MAX_WAIT),
        reraise=True,
    )
    with atomic_file(path) as partial:
        try:
            arrived = attempts(fetch)
        except httpx.HTTPStatusError as error:
            response = error.response
            raise DownloadError(f"{url}: the server answered {response.status_code} {response.reason_phrase}") from None
        except httpx.ConnectError as error:
            raise DownloadError(f"{url}: no connection ({first_line(error)})") from None
        except httpx.HTTPError as error:
            raise DownloadError(f"{url}: {first_line(error)}") from None
        if arrived != sha256:
            raise DownloadError(f"{url}: checksum mismatch (SHA-256 is {arrived}, expected {sha256})")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
