"""One file from the network, whole and checked, or nothing."""

import logging
from pathlib import Path

from cbir.core.errors import first_line
from cbir.ingest.sources.source import SourceError


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch a file unless it is there already with this SHA-256.

    Raises
    ------
    SourceError
        No network, no such file, or another content than expected.
    """
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    fetch = pooch.HTTPDownloader(progressbar=False, timeout=30)
    try:
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=fetch)
    except ValueError as error:  # pooch's word for a wrong checksum
        raise SourceError(f"{url} gave another file than expected ({first_line(error)})") from None
    except Exception as error:  # noqa: BLE001 - requests' and the system's many ways of failing
        raise SourceError(f"{url}: {_cause(error)}") from None


def _cause(error: BaseException) -> str:
    if type(error).__name__ in ("ConnectionError", "ConnectTimeout"):
        return "no connection"
    text = str(getattr(error, "reason", "") or error)
    return text.rsplit("(Caused by ", 1)[-1][:160].strip() or type(error).__name__
