import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cbir.ingest.sources.idx import read_idx
from cbir.ingest.sources.source import SourceError


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "images-idx3-ubyte"


@given(array=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, min_side=0)), compressed=st.booleans())
def test_what_was_written_is_read(path: Path, array: np.ndarray, compressed: bool):
    path.write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    assert np.array_equal(read_idx(path, 3), array)


WHOLE = idx(np.zeros((3, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WHOLE[:-1], "holds 47 bytes where its header says 48"),
        (WHOLE + b"x", "holds 49 bytes"),
        (gzip.compress(WHOLE)[:-12], "cannot be read"),
        (gzip.compress(WHOLE)[:20] + b"garbage", "cannot be read"),
        (b"", "not an IDX file"),
        (WHOLE[:9], "not an IDX file"),
        (idx(np.zeros(3, np.uint8)), "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
    ],
    ids=("short", "long", "half of gzip", "damaged gzip", "empty", "header cut", "other dimensions", "html"),
)
def test_damaged_and_wrong_files_are_refused_by_name(path: Path, content: bytes, reason: str):
    path.write_bytes(content)
    with pytest.raises(SourceError, match=reason) as raised:
        read_idx(path, 3)
    assert path.name in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="nothing"):
        read_idx(tmp_path / "nothing", 3)
