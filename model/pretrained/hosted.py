"""A network of the hub as an encoder: fetched at first use, and copied into the bundle.

In: a row of `networks`. Out: the functions that an encoder's module has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.method import Examples, Inference, Learned, NoOptions
from cbir.model.preprocessing import Preprocessing
from cbir.model.pretrained.hub import HubFile, fetch
from cbir.model.pretrained.onnx_file import described, feature_graph
from cbir.model.pretrained.towers import Words


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes
    ----------
    name : str
        Of the encoder.
    summary : str
        One line; size and licence are added where encoders are listed.
    graph : HubFile
        The ONNX graph that encodes pictures.
    licence : str
        Of the weights.
    values : int
        In a feature.
    options : Mapping
        How pictures become its input and which output is the feature, by the keys of a JSON file beside any ONNX file
        (`onnx_options.KEYS`). Inputs are (n, 3, height, width).
    words : Words or None
        How it encodes words.
    revision : int
        Raised when the row comes to mean another encoder.
    """

    name: str
    summary: str
    graph: HubFile
    licence: str
    values: int
    options: Mapping[str, Any] = field(hash=False)
    words: Words | None = None
    revision: int = 1


class Hosted:
    """What an encoder's module is, for one row (see `cbir.model.method.Method`)."""

    Recipe = NoOptions

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def REVISION(self) -> int:  # noqa: N802 - as a module has it
        """Raised when the row comes to mean another encoder."""
        return self._network.revision

    def preprocessing(self, suited: Preprocessing) -> Preprocessing:  # noqa: ARG002
        """Return how pictures become its input, whatever suits the source."""
        return described(self._network.options, channels=3, layout="NCHW")

    def learn(
        self,
        examples: Examples,  # noqa: ARG002
        recipe: NoOptions,  # noqa: ARG002
        *,
        checkpoint: Path | None = None,  # noqa: ARG002
        progress: Progress = silent,
    ) -> Learned:
        """Fetch the graph, if it is not on this machine, and make its output the feature.

        Raises
        ------
        ModelError
            It cannot be fetched, or is not what its row says.
        """
        network = self._network
        (path,) = fetch([network.graph], f"encoder '{network.name}'", progress=progress)
        graph, prepared, values = feature_graph(path, network.options)
        if (prepared, values) != (self.preprocessing(prepared), network.values):
            raise ModelError(
                f"{path} makes {values} values of {prepared.shape}, and not what encoder '{network.name}' is: "
                "report it as a fault of cbir's table of networks"
            )
        about: dict[str, Any] = {"network": {"name": network.name, "licence": network.licence, **asdict(network.graph)}}
        if network.words is not None:
            about["words"] = asdict(network.words)
        return Learned(graph=graph, about=about)

    def run(self, arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG002
        """Refuse: such an encoder is a graph, no arrays."""
        raise ModelError(f"encoder '{self._network.name}' has no arrays: its model was changed")
