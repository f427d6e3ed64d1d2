"""Disk errors in one line, and a check of free space before something large is written."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cbir.core.errors import CbirError


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn an OSError of the block into a CbirError that names the file, or `place`."""
    try:
        yield
    except OSError as error:
        raise CbirError(
            f"cannot write to {error.filename or place}: {error.strerror or error}; "
            "free some space, or name another place (CBIR_HOME, --save)"
        ) from error


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of an existing folder."""
    return shutil.disk_usage(folder).free
