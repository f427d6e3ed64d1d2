"""An ONNX file is read as one that anybody may have made: nothing outside its folder, no code, no huge arrays.

In: a path. Out: the model with all its weights in memory; whatever cannot be stored as one file is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cbir.model.errors import ModelError
from cbir.model.one_file import is_elsewhere, parts

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

#: What a protobuf can hold, and so what a bundle's one file can.
_MAX_BYTES = 2**31 - 1
#: What was compiled for one machine: it is in another file, and of no use elsewhere.
_COMPILED = "EPContext"
#: Operators that every onnxruntime has.
_STANDARD = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


def read_onnx(path: Path) -> "ModelProto":
    """Read an ONNX file and the data beside it.

    Raises
    ------
    ModelError
        Not an ONNX file, larger than 2 GB, with data that is missing or outside of its folder, or with operators that
        onnxruntime does not have by itself.
    """
    import onnx

    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    if path.stat().st_size > _MAX_BYTES:
        raise too_large(path, path.stat().st_size)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # noqa: BLE001 - protobuf's own
        raise ModelError(f"{path} is not an ONNX file, or is damaged") from None
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path} is not an ONNX file, or is damaged")
    _check_operators(path, model)
    elsewhere = [_part_of(path, tensor) for tensor in parts(model, onnx.TensorProto) if is_elsewhere(tensor)]
    # Each tensor has a part of its own in memory, also where many say the same part of one file.
    size = path.stat().st_size + sum(part.length for part in elsewhere)
    if size > _MAX_BYTES:
        raise too_large(path, size)
    for part in elsewhere:
        part.load()
    return model


def too_large(path: Path, size: int) -> ModelError:
    """Return the error for what a bundle cannot hold."""
    return ModelError(
        f"{path} is {size / 1e9:.1f} GB with its data, and a model bundle holds one file of at most 2 GB; "
        "export it in half precision or in eight bits"
    )


@dataclass(frozen=True)
class _Part:
    """The part of a file that holds a tensor."""

    tensor: "TensorProto"
    file: Path
    offset: int
    length: int

    def load(self) -> None:
        """Read it into the tensor."""
        with self.file.open("rb") as opened:
            opened.seek(self.offset)
            self.tensor.raw_data = opened.read(self.length)
        del self.tensor.external_data[:]
        self.tensor.ClearField("data_location")


def _part_of(path: Path, tensor: "TensorProto") -> _Part:
    """Return where a tensor of this model is; inside of the model's folder, and all there."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    file = _beside(path, said.get("location", ""))
    size = file.stat().st_size
    try:
        offset = int(said.get("offset", 0))
        length = int(said.get("length", size - offset))
    except ValueError:
        offset = length = -1
    if min(offset, length) < 0 or offset + length > size:
        raise ModelError(f"{path} wants data that '{said['location']}' does not hold: one of the two is damaged")
    return _Part(tensor, file, offset, length)


def _beside(path: Path, location: str) -> Path:
    """Return the file beside a model that has this name."""
    named = PurePosixPath(location.replace("\\", "/"))
    if not named.name or named.is_absolute() or ".." in named.parts or ":" in location:
        raise ModelError(f"{path} wants data from '{location}', outside its own folder: cbir does not read that")
    file = path.parent / named
    if not file.is_file():
        raise ModelError(f"{path} has its weights in '{location}', which is missing: put that file beside it")
    if not any(file.resolve().is_relative_to(folder) for folder in _own_folders(path)):
        raise ModelError(
            f"{path} has its weights in '{location}', which is a link to {file.resolve()}, outside its own folder: "
            "put the file itself beside it"
        )
    return file


def _own_folders(path: Path) -> Iterator[Path]:
    """Yield the folder of a model; in Hugging Face's cache, its files are links to where the repository's files are."""
    yield path.parent.resolve()
    for repository in path.absolute().parents:
        if repository.name.startswith("models--") and (repository / "snapshots") in path.absolute().parents:
            yield repository.resolve() / "blobs"


def _check_operators(path: Path, model: "ModelProto") -> None:
    """Refuse operators of other libraries, which would have to be loaded as code."""
    from onnx import NodeProto

    own = {(function.domain, function.name) for function in model.functions}
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in parts(model, NodeProto)
        if node.op_type == _COMPILED or (node.domain not in _STANDARD and (node.domain, node.op_type) not in own)
    }
    if foreign:
        raise ModelError(
            f"{path} needs the custom operator(s) {', '.join(sorted(foreign))}, which would be code of another "
            "library: cbir loads none; export the network with standard operators"
        )
