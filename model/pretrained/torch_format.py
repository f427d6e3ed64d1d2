"""Reads a file of weights in torch's old format (before 1.6), without torch.

In: the file's bytes. Out: its tensors by name, as arrays. The format is a
row of pickles (a magic number, a version, the machine's sizes, the tensors'
places, the storages' keys) and then each storage's values after their number.
"""

import io
import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from cbir.core.errors import first_line
from cbir.model.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
#: Types of storages, by torch's names.
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Place(NamedTuple):
    """Where a tensor's values are: which storage, and from where on in which steps, counted in values."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a file.

    Parameters
    ----------
    data : bytes
        The file's content.

    Returns
    -------
    dict
        Arrays of float32 or int64 by the tensors' names, contiguous.

    Raises
    ------
    ModelError
        Damaged, of another format, or its pickles ask for anything but tensors.
    """
    stream = io.BytesIO(data)
    try:
        magic, version, machine = (_Unpickler(stream).load() for _ in range(3))
        if magic != _MAGIC or version != _VERSION or not machine["little_endian"]:
            raise ModelError("the weights are not in torch's old format")
        places: dict[str, _Place] = _Unpickler(stream).load()
        keys: list[str] = _Unpickler(stream).load()
        dtypes = {place.storage: place.dtype for place in places.values()}
        storages = {key: _storage(stream, dtypes[key]) for key in keys}
        return {name: _tensor(storages[place.storage], place) for name, place in places.items()}
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged pickles raise nearly anything
        raise ModelError(f"the weights cannot be read: {first_line(error)}") from None


class _Unpickler(pickle.Unpickler):
    """Knows the four names that a dictionary of tensors is made of, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _place
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise ModelError(f"the weights ask for {module}.{name}, which is no tensor; they are not loaded")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        """Return a storage's key and type; it comes as ("storage", type, key, device, number of values, view)."""
        kind, dtype, key, _, _, view = pid
        if kind != "storage" or view is not None:
            raise ModelError(f"the weights hold a {kind} of a kind that cbir does not read")
        return key, dtype


def _place(
    storage: tuple[str, np.dtype[Any]], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Place:
    return _Place(*storage, offset, shape, strides)


def _storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> np.ndarray:
    (size,) = np.frombuffer(stream.read(8), "<i8")
    return np.frombuffer(stream.read(int(size) * dtype.itemsize), dtype, count=int(size))


def _tensor(storage: np.ndarray, place: _Place) -> np.ndarray:
    """Cut a tensor out; numpy checks that it lies within its storage."""
    steps = tuple(step * storage.itemsize for step in place.strides)
    offset = place.offset * storage.itemsize
    return np.ascontiguousarray(np.ndarray(place.shape, place.dtype, storage.data, offset, steps))
