"""What the system says when a file cannot be written, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cbir.errors import CbirError


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
