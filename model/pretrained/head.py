"""What follows a pretrained network: its many values become at most 256, of norm 1.

In: the network's features. Out: one feature a picture, by NumPy while a source is
learned from, and by the same steps as nodes at the end of the network's graph
afterwards. What is learned are the arrays (`projection.py`, `adaptation.py`).

The square root keeps a few large values from deciding a distance (F. Perronnin,
J. Sánchez, T. Mensink, *Improving the Fisher Kernel for Large-Scale Image
Classification*, ECCV 2010; H. Jégou, O. Chum, *Negative evidences and
co-occurences in image retrieval*, ECCV 2012, for the rest: centred, projected).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir.model.pretrained.blueprint import Blueprint

if TYPE_CHECKING:
    import onnx

#: Rows that are compared with all anchors at a time: 1,000 times 10,000 similarities are 40 MB.
_BLOCK = 1000
#: Name of the graph's output.
OUTPUT = "feature"


@dataclass(frozen=True)
class Places:
    """Where the source's pictures lie in an embedding, from which any picture's place follows.

    A picture's place is the mean of the places of the anchors, each weighted by how similar it is:
    exp(sharpness * cosine). In a graph that is attention, two products of matrices.

    Attributes
    ----------
    anchors : ndarray of float16, shape (a, p)
        Projected features of pictures of the source; as float16 they are half the model's size.
    places : ndarray of float16, shape (a, e)
        Their embedding.
    sharpness : float
    share : float
        What part of a squared distance is between places, the rest being between projected features.
    """

    anchors: np.ndarray
    places: np.ndarray
    sharpness: float
    share: float


@dataclass(frozen=True)
class Head:
    """Projects a network's features; its feature has p values, or p + e with places.

    Attributes
    ----------
    mean : ndarray of float32, shape (d,)
        Subtracted from the network's features, once normalised.
    directions : ndarray of float32, shape (d, p)
    places : Places or None
    """

    mean: np.ndarray
    directions: np.ndarray
    places: Places | None = None

    @property
    def values(self) -> int:
        """Values in a feature."""
        return self.directions.shape[1] + (0 if self.places is None else self.places.places.shape[1])

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Make features.

        Parameters
        ----------
        raw : ndarray of float32, shape (n, d)
            What the network gives.

        Returns
        -------
        ndarray of float32, shape (n, values)
            Rows of norm 1.
        """
        made = np.empty((len(raw), self.values), np.float32)
        for start in range(0, len(raw), _BLOCK):
            made[start : start + _BLOCK] = self._applied(raw[start : start + _BLOCK])
        return made

    def _applied(self, raw: np.ndarray) -> np.ndarray:
        projected = unit((rooted(raw) - self.mean) @ self.directions)
        if self.places is None:
            return projected
        place = unit(attention(projected, self.places))
        share = np.float32(self.places.share)
        return np.concatenate([np.sqrt(1 - share) * projected, np.sqrt(share) * place], axis=1)

    def appended(self, model: "onnx.ModelProto") -> "onnx.ModelProto":
        """Return a copy of a network's graph that ends in this head.

        Parameters
        ----------
        model : onnx.ModelProto
            Its one output is (n, d) float32; operators of version 13 or later.

        Returns
        -------
        onnx.ModelProto
            Its one output is `feature`, (n, values) float32.
        """
        import onnx

        added = self._nodes(model.graph.output[0].name)
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        whole.graph.node.extend(added.graph.node)
        whole.graph.initializer.extend(added.graph.initializer)
        del whole.graph.output[:]
        whole.graph.output.extend(added.graph.output)
        return whole

    def _nodes(self, raw: str) -> "onnx.ModelProto":
        graph = Blueprint()
        # Not "head.": nodes of the network are called that, its last convolution's.
        size = graph.node("Sqrt", [graph.node("Abs", [raw], "feature.size")], "feature.root")
        signed = graph.node("Mul", [size, graph.node("Sign", [raw], "feature.sign")], "feature.signed")
        rooted = graph.node("LpNormalization", [signed], "feature.rooted", axis=1, p=2)
        centred = graph.node("Sub", [rooted, graph.constant("feature.mean", self.mean)], "feature.centred")
        product = graph.node(
            "MatMul", [centred, graph.constant("feature.directions", self.directions)], "feature.product"
        )
        if self.places is None:
            graph.node("LpNormalization", [product], OUTPUT, axis=1, p=2)
        else:
            projected = graph.node("LpNormalization", [product], "feature.projected", axis=1, p=2)
            _add_places(graph, projected, self.places)
        return graph.model(
            "head",
            takes=(raw, "float32", ["n", len(self.mean)]),
            gives=(OUTPUT, "float32", ["n", self.values]),
        )


def rooted(raw: np.ndarray) -> np.ndarray:
    """Take the square root of a network's features (of the amounts, keeping signs), and normalise, (n, d)."""
    return unit(np.sign(raw) * np.sqrt(np.abs(raw)))


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to norm 1; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def attention(projected: np.ndarray, places: Places) -> np.ndarray:
    """Average the anchors' places, weighted by similarity, (n, p) to (n, e)."""
    scores = np.float32(places.sharpness) * (projected @ places.anchors.T.astype(np.float32))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights @ places.places.astype(np.float32))


def _add_places(graph: Blueprint, projected: str, places: Places) -> None:
    """Add `attention`, and join its result with the projected features."""
    from onnx import TensorProto

    anchors = graph.constant("feature.anchors", np.ascontiguousarray(places.anchors.T))
    keys = graph.node("Cast", [anchors], "feature.keys", to=TensorProto.FLOAT)
    values = graph.node(
        "Cast", [graph.constant("feature.places", places.places)], "feature.values", to=TensorProto.FLOAT
    )
    near = graph.node("MatMul", [projected, keys], "feature.near")
    scores = graph.node(
        "Mul", [near, graph.constant("feature.sharpness", np.float32(places.sharpness))], "feature.scores"
    )
    weights = graph.node("Softmax", [scores], "feature.weights", axis=1)
    mean = graph.node("MatMul", [weights, values], "feature.mean_place")
    place = graph.node("LpNormalization", [mean], "feature.place", axis=1, p=2)
    share = np.float32(places.share)
    own = graph.node("Mul", [projected, graph.constant("feature.own_weight", np.sqrt(1 - share))], "feature.own")
    other = graph.node("Mul", [place, graph.constant("feature.place_weight", np.sqrt(share))], "feature.other")
    graph.node("Concat", [own, other], OUTPUT, axis=1)
