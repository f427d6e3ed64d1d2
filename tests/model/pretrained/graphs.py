"""Small ONNX graphs such as other people's networks are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def value(name: str, shape: Sequence[Any], kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def network(
    nodes: Sequence[NodeProto],
    given: Sequence[onnx.ValueInfoProto],
    made: Sequence[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    **more: Any,
) -> ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    domains = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in more.pop("domains", ()))]
    graph = helper.make_graph(nodes, "network", given, made, tensors)
    return helper.make_model(graph, opset_imports=domains, ir_version=8, **more)


def mean_colour(shape: Sequence[Any] = ("n", 3, 20, 24), **more: Any) -> ModelProto:
    """From (n, 3, 20, 24) to the mean of each channel, (n, 3)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["f"]),
    ]
    return network(nodes, [value("pixels", shape)], [value("f", [shape[0], 3])], **more)


def tokens(opset: int = 17) -> ModelProto:
    """Three tokens of two values: (mean of red, of green), (of green, of blue), (of blue, of red)."""
    order = np.array([[0, 1], [1, 2], [2, 0]])
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gather", ["flat", "order"], ["last_hidden_state"], axis=1),
    ]
    given = value("pixel_values", ["batch", "channels", "height", "width"])
    return network(nodes, [given], [value("last_hidden_state", ["batch", 3, 2])], {"order": order}, opset)


def two_towers(words: int = 50, length: Any = "length") -> ModelProto:
    """Pictures to the mean of each channel, words to the mean of their tokens' rows in a table; both of 3 values."""
    table = np.random.default_rng(0).normal(size=(words, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "second"], ["text_embeds"], keepdims=0),
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["image_embeds"]),
        helper.make_node("Gemm", ["text_embeds", "image_embeds"], ["logits"], transB=1),
    ]
    given = [
        value("input_ids", ["texts", length], TensorProto.INT64),
        value("attention_mask", ["texts", length], TensorProto.INT64),
        value("pixel_values", ["pictures", 3, 16, 16]),
    ]
    made = [
        value("logits", ["texts", "pictures"]),
        value("text_embeds", ["texts", 3]),
        value("image_embeds", ["pictures", 3]),
    ]
    return network(nodes, given, made, {"table": table, "last": np.array([-1]), "second": np.array([1])})
