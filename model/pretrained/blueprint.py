"""An ONNX graph, written down node by node.

In: operators with the names of what they take and give, and constants. Out: a
model that onnxruntime runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

#: Versions of ONNX's operators and of its file format; onnxruntime 1.24, the oldest that cbir takes, knows newer ones.
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Blueprint:
    """Nodes in the order of computation, and constants by name."""

    nodes: list[tuple[str, Sequence[str], str, dict[str, Any]]] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, operator: str, takes: Sequence[str], gives: str, **attributes: Any) -> str:
        """Add a node with one output; return that output's name."""
        self.nodes.append((operator, takes, gives, attributes))
        return gives

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """Add a constant, unless it is there; return its name."""
        self.constants.setdefault(name, np.asarray(value))
        return name

    def model(
        self,
        name: str,
        takes: tuple[str, npt.DTypeLike, Sequence[str | int]],
        gives: tuple[str, npt.DTypeLike, Sequence[str | int]],
    ) -> "onnx.ModelProto":
        """Build the model.

        Parameters
        ----------
        name : str
            Of the graph.
        takes, gives : tuple
            The input and the output: name, dtype and shape, with a name for the axis of any length.
        """
        from onnx import helper, numpy_helper

        def described(name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> "onnx.ValueInfoProto":
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

        graph = helper.make_graph(
            [helper.make_node(kind, taken, [given], **more) for kind, taken, given, more in self.nodes],
            name,
            [described(*takes)],
            [described(*gives)],
            [numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="cbir"
        )
