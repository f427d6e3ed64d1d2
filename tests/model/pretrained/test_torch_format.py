"""Weights in torch's old format are read without torch, and nothing but weights is read."""

import io
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cbir.model.errors import ModelError
from cbir.model.pretrained.torch_format import read_torch

MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
HEADER = (0x1950A86A20F9469CFC6C, 1001, MACHINE)


class Storage:
    """Values that tensors share."""

    def __init__(self, key: str, values: np.ndarray):
        self.key, self.values = key, values


class Tensor:
    """Pickled as torch does it."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object):
        if not isinstance(value, Storage):
            return None
        kind = "FloatStorage" if value.values.dtype == np.float32 else "LongStorage"
        return "storage", getattr(sys.modules["torch"], kind), value.key, "cpu", value.values.size, None


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pickle looks up by name while it writes; nothing of it is used to read."""
    for module, names in (("torch", ("FloatStorage", "LongStorage")), ("torch._utils", ("_rebuild_tensor_v2",))):
        made = ModuleType(module)
        for name in names:
            setattr(made, name, type(name, (), {"__module__": module}))
        monkeypatch.setitem(sys.modules, module, made)


def written(tensors: object, storages: list[Storage], header: tuple = HEADER) -> bytes:
    stream = io.BytesIO()
    for part in [*header, tensors, [storage.key for storage in storages]]:
        Pickler(stream, protocol=2).dump(part)
    for storage in storages:
        stream.write(np.int64(storage.values.size).tobytes() + storage.values.tobytes())
    return stream.getvalue()


def test_a_tensor_is_read_by_its_strides_and_its_place_in_a_shared_storage():
    shared, count = Storage("7", np.arange(10, dtype=np.float32)), Storage("3", np.array([5], np.int64))
    tensors = {
        "transposed": Tensor(shared, 0, (3, 2), (1, 3)),
        "later": Tensor(shared, 6, (4,), (1,)),
        "count": Tensor(count, 0, (), ()),
    }
    found = read_torch(written(tensors, [shared, count]))
    np.testing.assert_array_equal(found["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["later"], [6, 7, 8, 9])
    assert found["transposed"].flags.c_contiguous
    assert found["transposed"].dtype == np.float32
    assert found["count"] == 5


class Hostile:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_calls_anything_else_is_refused_before_it_does(tmp_path: Path):
    marker = tmp_path / "was here"
    with pytest.raises(ModelError, match=rf"the weights ask for {os.name}\.mkdir, which is no tensor"):
        read_torch(written({"weight": Hostile(marker)}, []))
    assert not marker.exists()


@pytest.mark.parametrize(("offset", "shape", "strides"), [(0, (5,), (1,)), (0, (2, 2), (3, 1)), (1, (4,), (1,))])
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(offset: int, shape: tuple, strides: tuple):
    storage, next_storage = Storage("1", np.arange(4, dtype=np.float32)), Storage("2", np.ones(9, np.float32))
    tensors = {"weight": Tensor(storage, offset, shape, strides), "other": Tensor(next_storage, 0, (9,), (1,))}
    with pytest.raises(ModelError, match="cannot be read"):
        read_torch(written(tensors, [storage, next_storage]))


def test_what_is_cut_short_or_of_another_format_is_refused():
    storage = Storage("1", np.arange(4, dtype=np.float32))
    whole = written({"weight": Tensor(storage, 0, (4,), (1,))}, [storage])
    assert read_torch(whole)["weight"].shape == (4,)
    for size in (0, 10, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        with pytest.raises(ModelError, match="cannot be read"):
            read_torch(whole[:size])
    for header in ((1, *HEADER[1:]), (HEADER[0], 1002, MACHINE), (*HEADER[:2], MACHINE | {"little_endian": False})):
        with pytest.raises(ModelError, match="not in torch's old format"):
            read_torch(written({}, [], header))
