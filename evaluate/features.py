"""The features of a whole collection, which need no memory: rows in a temporary file, read a block at a time.

In: pages of features, in their order. Out: any rows, as of an array. The system removes the file when it is closed,
also when the process is killed; few features never leave memory.
"""

import os
import tempfile

import numpy as np

from cbir.core.errors import CbirError

#: Bytes that are held in memory: of 125,000 features of 128 values.
_HELD = 64_000_000


class Features:
    """A table of float32 that grows by blocks of rows.

    Parameters
    ----------
    dimension : int
        Values in a row.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._rows = 0
        # Closed by `close`: what is written and read comes at different times.
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD)  # noqa: SIM115

    def append(self, rows: np.ndarray) -> None:
        """Add (k, d) float32 rows at the end.

        Raises
        ------
        CbirError
            The disk is full.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(rows, np.float32).data)
            self._file.flush()
        except OSError as error:
            needed = (self._rows + len(rows)) * self._dimension * 4
            raise CbirError(
                f"cannot write {needed / 1e6:,.0f} MB of features to {tempfile.gettempdir()}: "
                f"{error.strerror or error}; free some space, or name another place with TMPDIR"
            ) from error
        self._rows += len(rows)

    def __len__(self) -> int:
        return self._rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and values in a row."""
        return self._rows, self._dimension

    def __getitem__(self, wanted: slice | np.ndarray) -> np.ndarray:
        """Return the rows of a slice without steps, or of (m,) numbers, float32."""
        if isinstance(wanted, slice):
            start, stop, _ = wanted.indices(self._rows)
            return self._read(start, max(0, stop - start))
        return np.array([self._read(int(row), 1)[0] for row in wanted], np.float32).reshape(-1, self._dimension)

    def _read(self, start: int, count: int) -> np.ndarray:
        rows = np.empty((count, self._dimension), np.float32)
        if rows.size:
            self._file.seek(start * self._dimension * 4)
            self._file.readinto(rows.data.cast("B"))
        return rows

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
