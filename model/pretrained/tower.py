"""One tower is cut out of an ONNX graph, and its output made a feature.

In: a graph, which of its inputs takes pictures (or words), which output counts
and which of its tokens. Out: the same model with only what that output needs,
and one output, (n, d) float32, L2-normalised.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cbir.model.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

#: What becomes one row of values for each picture: the values as they are, the first of the tokens, or the mean of the
#: tokens or of the places.
TOKENS = ("pooled", "cls", "mean")
#: Since this version the axes of a reduction are an input.
_AXES_ARE_INPUT = 18
#: Before this version two arrays of different shapes have no maximum.
_LEAST_VERSION = 9


def needed_inputs(model: "ModelProto", output: str) -> list[str]:
    """Return the graph's inputs that an output depends on, in their order."""
    _, used = _needs(model.graph, output)
    weights = {tensor.name for tensor in model.graph.initializer}
    return [given.name for given in model.graph.input if given.name in used and given.name not in weights]


def cut(model: "ModelProto", output: str) -> None:
    """Keep of a model what one of its outputs needs, and that output alone.

    In place, other than `onnx.utils.Extractor`, which copies all weights and loses what the branches of an If use.

    Raises
    ------
    ModelError
        No such output.
    """
    graph = model.graph
    names = [made.name for made in graph.output]
    if output not in names:
        raise ModelError(f"it has no output '{output}' (its outputs: {', '.join(names)})")
    nodes, used = _needs(graph, output)
    _keep(graph.node, lambda index, _: index in nodes)
    for held in (graph.initializer, graph.input, graph.value_info):
        _keep(held, lambda _, value: value.name in used)
    _keep(graph.output, lambda _, value: value.name == output)


def as_feature(
    model: "ModelProto", rank: int, *, token: str | None = None, channels_last: bool = False, normalise: bool = True
) -> None:
    """Make a model's one output a feature; in place.

    Parameters
    ----------
    model : ModelProto
    rank : int
        Of that output: 2 (n, d), 3 (n, tokens, d) or 4 (n, d, h, w).
    token : str, optional
        One of `TOKENS`; by default `pooled` of 2 axes, `cls` of 3 and `mean` of 4.
    channels_last : bool
        An output of 4 axes is (n, h, w, d).
    normalise : bool
        Divide by the L2 norm.

    Raises
    ------
    ModelError
        The token does not go with the output, or the graph is in a version that is too old.
    """
    from onnx import TensorProto, helper

    chosen = token or {2: "pooled", 3: "cls", 4: "mean"}.get(rank, "pooled")
    if rank not in {"pooled": (2,), "cls": (3,), "mean": (3, 4)}[chosen]:
        raise ModelError(
            f"its output '{model.graph.output[0].name}' has {rank} axes, from which token '{chosen}' makes no feature: "
            "'pooled' takes (n, values), 'cls' (n, tokens, values), 'mean' (n, tokens, values) or (n, values, h, w)"
        )
    append = _Appending(model)
    if append.version < _LEAST_VERSION:
        raise ModelError(f"its operators are of version {append.version}; export it again, with opset 17 for example")
    if model.graph.output[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        append("Cast", to=TensorProto.FLOAT)
    if chosen == "cls":
        append("Gather", append.integers(0), axis=1)
    elif chosen == "mean":
        append.reduce("ReduceMean", (1,) if rank == 3 else (1, 2) if channels_last else (2, 3), keepdims=0)
    if normalise:
        values = append.last
        append.reduce("ReduceL2", (1,), keepdims=1)
        norm = append("Max", append.floats(1e-12))
        append.last = values
        append("Div", norm)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(append.last, TensorProto.FLOAT, ["n", None]))


class _Appending:
    """Adds nodes to the end of a graph, each taking the output of the one before."""

    def __init__(self, model: "ModelProto") -> None:
        self._graph = model.graph
        self._names = {name for node in model.graph.node for name in node.output}
        self._names |= {value.name for value in (*model.graph.initializer, *model.graph.input)}
        self.last = model.graph.output[0].name
        self.version = max(
            (known.version for known in model.opset_import if known.domain in ("", "ai.onnx")), default=0
        )

    def __call__(self, operator: str, *more: str, **attributes: Any) -> str:
        from onnx import helper

        made = self._name(operator)
        self._graph.node.append(helper.make_node(operator, [self.last, *more], [made], **attributes))
        self.last = made
        return made

    def reduce(self, operator: str, axes: tuple[int, ...], keepdims: int) -> str:
        by_input = self.version >= _AXES_ARE_INPUT
        given: dict[str, Any] = {} if by_input else {"axes": list(axes)}
        return self(operator, *([self.integers(*axes, listed=True)] if by_input else []), keepdims=keepdims, **given)

    def integers(self, *values: int, listed: bool = False) -> str:
        from onnx import TensorProto

        return self._constant(TensorProto.INT64, values, [len(values)] if listed else [])

    def floats(self, value: float) -> str:
        from onnx import TensorProto

        return self._constant(TensorProto.FLOAT, [value], [])

    def _constant(self, kind: int, values: Any, shape: list[int]) -> str:
        from onnx import helper

        name = self._name("constant")
        self._graph.initializer.append(helper.make_tensor(name, kind, shape, values))
        return name

    def _name(self, kind: str) -> str:
        """Return a name that nothing has in the graph, from now on this."""
        numbered = (f"cbir_{kind}_{number}" for number in itertools.count())
        name = next(name for name in numbered if name not in self._names)
        self._names.add(name)
        return name


def _needs(graph: "GraphProto", output: str) -> tuple[set[int], set[str]]:
    """Return the numbers of the nodes that an output needs, and all names that occur among them."""
    made = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    nodes: set[int] = set()
    used: set[str] = set()
    ahead = [output]
    while ahead:
        name = ahead.pop()
        if name in used:
            continue
        used.add(name)
        if (index := made.get(name)) is not None and index not in nodes:
            nodes.add(index)
            ahead += [given for given in _taken(graph.node[index]) if given]
    return nodes, used


def _taken(node: "NodeProto") -> Iterator[str]:
    """Yield the names that a node and the graphs inside of it take."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for each in inner.node:
                yield from _taken(each)


def _keep(held: Any, wanted: Any) -> None:
    for index in reversed(range(len(held))):
        if not wanted(index, held[index]):
            del held[index]
