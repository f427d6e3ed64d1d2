"""An ONNX file as an encoder among others, where encoders are compared.

In: a path. Out: a kind of encoder, with the recipe that says which network it is. What one learns is the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cbir.core.errors import CbirWarning
from cbir.core.muted import muted
from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.pretrained import onnx_file


class _File:
    """What an encoder's module is, for one file (see `cbir.model.method.Method`)."""

    Recipe = onnx_file.Recipe
    REVISION = onnx_file.REVISION

    def __init__(self, path: Path, prepared: Preprocessing) -> None:
        self._path = path
        self._prepared = prepared

    def preprocessing(self, suited: Preprocessing) -> Preprocessing:  # noqa: ARG002
        """Return how pictures become its input, whatever suits the source."""
        return self._prepared

    def learn(
        self,
        examples: Examples,  # noqa: ARG002
        recipe: onnx_file.Recipe,
        *,
        checkpoint: Path | None = None,  # noqa: ARG002
        progress: Progress = silent,  # noqa: ARG002
    ) -> Learned:
        """Read the file again, so that not all networks of a comparison are in memory at once."""
        with muted(category=CbirWarning):  # it was said when the file was named
            learned, prepared = onnx_file.onnx_encoder(self._path)
        if onnx_file.recipe_of(learned, prepared) != recipe:
            raise ModelError(f"{self._path} was changed meanwhile")
        return learned

    def run(self, arrays: Mapping[str, np.ndarray]) -> Inference:  # noqa: ARG002
        """Refuse: such an encoder is a graph, no arrays."""
        raise ModelError(f"{self._path} has no arrays: its model was changed")


@dataclass(frozen=True)
class FileKind(Kind):
    """The kind of encoder that one file is."""

    file: _File = field(kw_only=True)

    @property
    def method(self) -> _File:
        """What the encoder's module would be."""
        return self.file


def kind_of_file(path: Path) -> tuple[FileKind, onnx_file.Recipe]:
    """Return the encoder in an ONNX file, and the recipe that says which one it is.

    Raises
    ------
    ModelError
        It cannot be an encoder; the message says why.
    """
    learned, prepared = onnx_file.onnx_encoder(path)
    kind = FileKind(
        onnx_file.KIND.name,
        onnx_file.KIND.summary,
        onnx_file.KIND.module,
        learns_from="nothing",
        self_contained=False,
        file=_File(path, prepared),
    )
    return kind, onnx_file.recipe_of(learned, prepared)
