"""A graph that is run is one file: it reads nothing beside itself, wherever it comes from.

onnxruntime before 1.24 reads a tensor's values from any file that the graph names, `../../etc/passwd` too, and makes
features of them. So whatever is run is looked through first, with any version.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cbir.model.errors import ModelError

if TYPE_CHECKING:
    from onnx import TensorProto

T = TypeVar("T")

#: What a graph that wants another file says somewhere: the key of a tensor's place, or the operator for compiled parts.
#: Where neither stands, nothing has to be read, which takes 0.2 s.
_LOCATION, _COMPILED = b"location", b"EPContext"


def check_one_file(source: Path | bytes, called: str) -> None:
    """Refuse a graph that wants data from elsewhere.

    Parameters
    ----------
    source : Path or bytes
    called : str
        For the message.

    Raises
    ------
    ModelError
    """
    if isinstance(source, bytes):
        suspect = any(source.find(word) >= 0 for word in (_LOCATION, _COMPILED))
    else:
        try:
            suspect = source.stat().st_size > 0 and _holds(source)
        except OSError as error:
            raise ModelError(f"{called} cannot be loaded: {error.strerror or error}") from None
    if not suspect:
        return
    import onnx

    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        model = onnx.ModelProto.FromString(content)
    except Exception:  # noqa: BLE001 - protobuf's own
        raise ModelError(f"{called} is not an ONNX file, or is damaged") from None
    if any(is_elsewhere(tensor) for tensor in parts(model, onnx.TensorProto)):
        raise ModelError(f"{called} wants data from another file: cbir runs only graphs that are one file")
    if any(node.op_type.encode() == _COMPILED for node in parts(model, onnx.NodeProto)):
        raise ModelError(f"{called} was compiled for one machine, and wants that from another file: export it again")


def is_elsewhere(tensor: "TensorProto") -> bool:
    """Tell whether a tensor's values are said to be in another file."""
    return bool(tensor.data_location != type(tensor).DEFAULT)


def parts(message: Any, kind: type[T]) -> Iterator[T]:
    """Yield the parts of a model that are of one kind, wherever they are: in branches, functions, attributes, anywhere.

    Tensors are not looked into.
    """
    from onnx import TensorProto

    if isinstance(message, kind):
        yield message
    if isinstance(message, TensorProto):  # its values would be copied
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if hasattr(value, "__len__") else (value,):
                yield from parts(each, kind)


def _holds(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(word) >= 0 for word in (_LOCATION, _COMPILED))
