"""An ONNX file is read as one that anybody may have made: nothing outside its folder, no code, no surprises of size.

In: a path. Out: the model with all its weights in memory; whatever cannot be stored as one file is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.core.errors import first_line
from cbir.model.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

#: What a protobuf can hold, and so what a bundle's one file can.
_MAX_BYTES = 2**31 - 1
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
    if files := _data_files(path, model):
        size = path.stat().st_size + sum(file.stat().st_size for file in files)
        if size > _MAX_BYTES:
            raise too_large(path, size)
        try:
            onnx.load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # noqa: BLE001 - onnx raises whatever its parts raise
            raise ModelError(f"{path}: the data beside it cannot be read: {first_line(error)}") from None
    return model


def too_large(path: Path, size: int) -> ModelError:
    """Return the error for what a bundle cannot hold."""
    return ModelError(
        f"{path} is {size / 1e9:.1f} GB with its data, and a model bundle holds one file of at most 2 GB; "
        "export it in half precision or in eight bits"
    )


def _check_operators(path: Path, model: "ModelProto") -> None:
    """Refuse operators of other libraries, which would have to be loaded as code."""
    own = {(function.domain, function.name) for function in model.functions}
    nodes = [*_nodes(model.graph), *(node for function in model.functions for node in function.node)]
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in nodes
        if node.domain not in _STANDARD and (node.domain, node.op_type) not in own
    }
    if foreign:
        raise ModelError(
            f"{path} needs the custom operator(s) {', '.join(sorted(foreign))}, which would be code of another "
            "library: cbir loads none; export the network with standard operators"
        )


def _data_files(path: Path, model: "ModelProto") -> set[Path]:
    """Return the files that hold tensors of this model, all of them inside its folder."""
    from onnx.external_data_helper import uses_external_data

    folder, found = path.parent.resolve(), set()
    for tensor in _tensors(model):
        if not uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        file = (folder / location).resolve()
        if not location or not file.is_relative_to(folder):
            raise ModelError(f"{path} wants data from '{location}', outside its own folder: cbir does not read that")
        if not file.is_file():
            raise ModelError(f"{path} has its weights in '{location}', which is missing: put that file beside it")
        found.add(file)
    return found


def _tensors(model: "ModelProto") -> "Iterator[TensorProto]":
    graphs = list(_graphs(model.graph))
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    nodes = [node for graph in graphs for node in graph.node]
    for node in (*nodes, *(node for function in model.functions for node in function.node)):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _graphs(graph: "GraphProto") -> "Iterator[GraphProto]":
    """Yield a graph and those inside of its nodes, such as the branches of an If."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _nodes(graph: "GraphProto") -> "Iterator[NodeProto]":
    for each in _graphs(graph):
        yield from each.node
