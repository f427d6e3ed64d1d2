"""Any ONNX file becomes an encoder: `cbir ingest DIR --model net.onnx`.

In: the file, and what stands beside it. Out: a graph with one input and one
output, the feature, and the preprocessing that makes its input. What the graph
does not say by itself comes from `onnx_options`; what cannot be an encoder is
refused with the reason.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.core.digest import sha256_of
from cbir.core.errors import CbirWarning, warn_caller
from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.graph import graph_of
from cbir.model.kind import Kind
from cbir.model.method import Examples, Inference, Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.pretrained.onnx_options import files_beside, options_beside
from cbir.model.pretrained.onnx_reading import read_onnx
from cbir.model.pretrained.tower import as_feature, cut, needed_inputs

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

KIND = Kind(
    "onnx-file",
    "Any network in an ONNX file: cbir ingest DIR --model net.onnx.",
    __name__,
    learns_from="nothing",
    self_contained=False,
)
REVISION = 1


@dataclass(frozen=True)
class Recipe:
    """Which network it is, for there are many; no option that anybody could set."""

    network: str = ""


#: Outputs that are features by their names, best first.
_FEATURES = ("image_embeds", "image_embedding", "pooler_output", "embeddings", "embedding", "features", "feature")
#: What nearly every network of PyTorch was trained with.
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
#: Of the largest value, by which a picture's feature may depend on the others that are encoded with it.
_TOLERANCE = 1e-3


def preprocessing(suited: Preprocessing) -> Preprocessing:  # noqa: ARG001
    """Refuse to be learned: there is nothing to learn from pictures."""
    raise _refusal()


def learn(
    examples: Examples,  # noqa: ARG001
    recipe: Recipe,  # noqa: ARG001
    *,
    checkpoint: Path | None = None,  # noqa: ARG001
    progress: Progress = silent,  # noqa: ARG001
) -> Learned:
    """Refuse, as `preprocessing` does."""
    raise _refusal()


def _refusal() -> ModelError:
    return ModelError(
        "encoder 'onnx-file' is a network of yours, and its file has to be named: "
        "cbir ingest SOURCE --model net.onnx, or cbir compare --encoder net.onnx"
    )


def onnx_encoder(path: Path) -> tuple[Learned, Preprocessing]:
    """Make an encoder of an ONNX file and what stands beside it.

    Returns
    -------
    learned : Learned
        Its graph takes what `Preprocessing.inputs` makes and gives (n, d) float32.
    preprocessing : Preprocessing

    Raises
    ------
    ModelError
        It cannot be an encoder; the message says why.
    """
    said = options_beside(path)
    content, prepared, _ = feature_graph(path, said)
    about = {"network": {"file": path.name, "sha256": sha256_of(path), "licence": said.get("licence")}}
    return Learned(graph=content, about=about), prepared


def recipe_of(learned: Learned, prepared: Preprocessing) -> Recipe:
    """Return the recipe that tells a network and its preprocessing from all others."""
    content = hashlib.sha256(learned.graph or b"")
    content.update(json.dumps(prepared.describe(), sort_keys=True).encode())
    return Recipe(content.hexdigest()[:8])


def feature_graph(path: Path, said: Mapping[str, Any]) -> tuple[bytes, Preprocessing, int]:
    """Make the graph of an encoder.

    Parameters
    ----------
    path : Path
    said : Mapping
        By the keys of `onnx_options.KEYS`.

    Returns
    -------
    content : bytes
    preprocessing : Preprocessing
    values : int
        In a feature.

    Raises
    ------
    ModelError
        It cannot be an encoder; the message says why.
    """
    model = read_onnx(path)
    try:
        given, output = _ends(model, said.get("input"), said.get("output"))
        prepared = _preprocessing(path, given, said)
        cut(model, output)
        _to_float(model, given)
        made = _tried(model, given, prepared)
        as_feature(
            model,
            made.ndim,
            token=said.get("token"),
            channels_last=prepared.layout == "NHWC",
            normalise=said.get("normalise", True),
        )
        values = made.shape[1] if made.ndim == 4 and prepared.layout == "NCHW" else made.shape[-1]
        return model.SerializeToString(deterministic=True), prepared, values
    except ModelError as error:
        raise ModelError(f"{path} cannot be an encoder: {error}") from None


def described(
    said: Mapping[str, Any], *, channels: int, layout: str, values: str = "unit", size: tuple[int, int] | None = None
) -> Preprocessing:
    """Return the preprocessing that keys of `onnx_options.KEYS` describe; `size` is used where none is said."""
    height, width = said.get("size") or size or (0, 0)
    fit = said.get("fit") or ("crop" if said.get("shortest") else "squash")
    mean, deviation = (_each(said.get(key), channels) for key in ("mean", "deviation"))
    return Preprocessing(
        height=height,
        width=width,
        channels=channels,
        fit=fit,
        resample=said.get("resample", "bicubic"),
        mean=mean if values == "unit" else None,
        deviation=deviation if values == "unit" else None,
        layout=layout,
        values=values,
        shortest=said.get("shortest") if fit == "crop" else None,
    )


def _each(said: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    """Return a number for each channel, where one was said for all."""
    return said * channels if said is not None and len(said) == 1 else said


def _ends(model: "ModelProto", wanted: str | None, output: str | None) -> tuple["ValueInfoProto", str]:
    """Return the input that takes pictures, and the name of the output that depends on it alone."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    if wanted is not None:
        found = [given for given in inputs if given.name == wanted]
    else:
        found = [given for given in inputs if len(given.type.tensor_type.shape.dim) == 4]
    if len(found) != 1:
        listed = ", ".join(f"{given.name} {_written(given)}" for given in inputs) or "none"
        asked = f"no input '{wanted}'" if wanted is not None else f"{len(found)} inputs of four axes"
        raise ModelError(f"it has {asked}, where one that takes pictures is needed (its inputs: {listed})")
    outputs = [made.name for made in model.graph.output]
    by_name = [name for name in _FEATURES if name in outputs]
    candidates = [output] if output is not None else [*by_name, *outputs]
    needs = {name: needed_inputs(model, name) for name in candidates}
    picked = next((name for name in candidates if needs[name] == [found[0].name]), None)
    if picked is None:
        others = sorted({name for names in needs.values() for name in names} - {found[0].name})
        wants = f"needs {', '.join(others)} besides a picture" if others else "does not depend on the picture"
        if output is not None and output not in outputs:
            wants = f"is not there (its outputs: {', '.join(outputs)})"
        raise ModelError(f"its output {' or '.join(map(repr, candidates))} {wants}")
    return found[0], picked


def _preprocessing(path: Path, given: "ValueInfoProto", said: Mapping[str, Any]) -> Preprocessing:
    """Return how pictures become this input, by what is said and by its shape."""
    from onnx import TensorProto

    kind = given.type.tensor_type.elem_type
    values = "bytes" if kind == TensorProto.UINT8 else "unit"
    if kind not in (TensorProto.UINT8, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        raise ModelError(f"its input '{given.name}' takes {TensorProto.DataType.Name(kind)}, not floats or bytes")
    shape = [axis.dim_value or None for axis in given.type.tensor_type.shape.dim]
    if len(shape) != 4:
        raise ModelError(f"its input '{given.name}' has {len(shape)} axes {_written(given)}, not four")
    layout = said.get("layout") or _layout(given, shape)
    height, width, channels = (shape[axis] for axis in ((1, 2, 3) if layout == "NHWC" else (2, 3, 1)))
    size = said.get("size")
    if size is None and height is not None and width is not None:
        size = height, width
    if size is None:
        raise ModelError(
            f"it takes pictures of any size {_written(given)}: say which in {path.with_suffix('.json').name}, "
            'for example {"size": 224}'
        )
    if any(fixed not in (None, wanted) for fixed, wanted in zip((height, width), size, strict=True)):
        raise ModelError(f"it takes pictures of {height}x{width}, and {_said_by(path)} says {size[0]}x{size[1]}")
    channels = channels or said.get("channels") or 3
    if said.get("channels", channels) != channels:
        raise ModelError(f"it takes {channels} channel(s), and {_said_by(path)} says {said['channels']}")
    if values == "unit" and not {"mean", "deviation"} & said.keys():
        torch = layout == "NCHW" and channels == 3
        said = {**said, **(_IMAGENET if torch else {})}
        assumed = "ImageNet's mean and deviation are" if torch else "values from 0 to 1 are"
        warn_caller(
            f"nothing says how {path.name} wants its pixels normalised: {assumed} assumed; say mean and deviation in "
            f"{path.with_suffix('.json')}",
            CbirWarning,
        )
    return described(said, channels=channels, layout=layout, values=values, size=size)


def _said_by(path: Path) -> str:
    return " or ".join(file.name for file in files_beside(path)) or "cbir's table of networks"


def _written(given: "ValueInfoProto") -> str:
    axes = given.type.tensor_type.shape.dim
    return "(" + ", ".join(str(axis.dim_value or axis.dim_param or "?") for axis in axes) + ")"


def _layout(given: "ValueInfoProto", shape: list[int | None]) -> str:
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first != last:
        return "NCHW" if first else "NHWC"
    if shape[1] is None and not last:
        return "NCHW"  # as PyTorch exports it, with a name for every axis
    raise ModelError(
        f"its input '{given.name}' is {_written(given)}, in which no axis is known to be 1 or 3 channels: cbir takes "
        "pictures in grey or RGB; if it does too, say layout and channels"
    )


def _to_float(model: "ModelProto", given: "ValueInfoProto") -> None:
    """Let the graph take float32 where it wants half or double precision."""
    from onnx import TensorProto, helper

    tensor = given.type.tensor_type
    if tensor.elem_type in (TensorProto.FLOAT, TensorProto.UINT8):
        return
    cast = helper.make_node("Cast", ["cbir_pictures"], [given.name], to=tensor.elem_type)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([cast, *rest])
    tensor.elem_type = TensorProto.FLOAT
    given.name = "cbir_pictures"


def _tried(model: "ModelProto", given: "ValueInfoProto", prepared: Preprocessing) -> np.ndarray:
    """Return what the graph makes of some pictures, and have it take many at once if it treats each by itself.

    One that was exported for a batch of one, or whose quantization looks at the whole batch, takes one at a time.
    """
    pixels = _pictures(prepared)
    batch = given.type.tensor_type.shape.dim[0]
    fixed = batch.dim_value
    if fixed > 1:
        raise ModelError(f"it takes exactly {fixed} pictures at a time; export it for any number, or for one")
    inner = list(model.graph.value_info)
    batch.dim_param = "n"
    del model.graph.value_info[:]  # they may say that there is one picture
    try:
        run = graph_of(model.SerializeToString(), "it")
        alone = _one_by_one(run, prepared.inputs(pixels))
        each_by_itself = _agree(alone, run(prepared.inputs(pixels)))
    except ModelError:
        each_by_itself = False
    if not each_by_itself:
        batch.dim_value = 1
        model.graph.value_info.extend(inner)
        alone = _one_by_one(graph_of(model.SerializeToString(), "it"), prepared.inputs(pixels))
    if len(alone) != len(pixels):
        raise ModelError(f"it makes {len(alone)} rows of {len(pixels)} pictures")
    if not np.isfinite(alone).all():
        raise ModelError("it gives NaN or infinite values for a black, a white or a noisy picture")
    return alone


def _one_by_one(run: Inference, inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([run(inputs[i : i + 1]) for i in range(len(inputs))])


def _agree(alone: np.ndarray, together: np.ndarray) -> bool:
    """Tell whether pictures have the same values whatever they are encoded with; those that are NaN agree."""
    if together.shape != alone.shape:
        return False
    most = np.abs(alone[np.isfinite(alone)]).max(initial=0)
    return np.allclose(together, alone, atol=_TOLERANCE * most, equal_nan=True)


def _pictures(prepared: Preprocessing) -> np.ndarray:
    """Return a black picture, a white one and noise, (3, h, w, c) uint8."""
    noise = np.random.default_rng(0).integers(0, 256, prepared.shape, np.uint8)
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise])
