"""The IDX format of the MNIST files, plain or gzip-compressed.

In: a path. Out: a uint8 array. A file that is shorter, longer or other than
its header says is refused by name.
Format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from cbir.ingest.sources.source import SourceError

_UNSIGNED_BYTES = 0x08


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read one file.

    Parameters
    ----------
    path : Path
    dimensions : int
        3 for images, 1 for labels.

    Returns
    -------
    ndarray of uint8 with that many dimensions

    Raises
    ------
    SourceError
        Missing, truncated, or not an IDX file of bytes with these dimensions.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read ({error}); fetch it again") from None
    header = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]) or len(content) < header:
        raise SourceError(f"{path} is not an IDX file of bytes with {dimensions} dimension(s)")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = math.prod(shape)
    if len(content) - header != expected:
        raise SourceError(
            f"{path} holds {len(content) - header} bytes where its header says {expected}; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
