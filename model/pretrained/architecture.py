"""The layers of EfficientNet-Lite0, a network trained on the photographs of ImageNet.

In: its weights. Out: its convolutions in the order of computation, batch
normalisation folded in. They turn pictures of 224 x 224 pixels into 1280
values at 7 x 7 places.

Source: Tan and Le, "EfficientNet: rethinking model scaling for convolutional
neural networks", ICML 2019; Lite is its variant for small devices, without
squeeze-and-excitation and with ReLU6.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = 224
#: Values of the feature: filters of the last convolution.
VALUES = 1280
#: A picture's bytes are (byte - ZERO) * SCALE to the first convolution.
SCALE, ZERO = 1 / 128, 127
#: Of each stage: expansion, stride of its first block, filters, blocks. (A kernel's size is its weight's shape.)
STAGES = ((1, 1, 16, 1), (6, 2, 24, 2), (6, 2, 40, 2), (6, 2, 80, 3), (6, 1, 112, 3), (6, 2, 192, 4), (6, 1, 320, 1))
#: Filters of the first convolution.
STEM = 32
_EPSILON = np.float32(1e-3)


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch normalisation, and what follows: ReLU6, an addition, or nothing.

    Parameters
    ----------
    name : str
        Name of its output.
    weight : ndarray of float32, shape (filters, channels / groups, kernel, kernel)
    bias : ndarray of float32, shape (filters,)
    mean, deviation : ndarray of float32, shape (filters,)
        What each filter's outputs were like in training, before ReLU6 and addition: batch normalisation says so.
    stride : int
    groups : int
        1, or as many as channels: each channel is filtered for itself.
    relu6 : bool
        Whether outputs are cut to [0, 6].
    adds : str or None
        Name of the earlier layer whose output is added.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    stride: int = 1
    groups: int = 1
    relu6: bool = True
    adds: str | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of ONNX's `Conv`; padding is TensorFlow's `same` for even sizes: an odd row is at the far side."""
        total = self.weight.shape[2] - self.stride
        near, far = total // 2, total - total // 2
        return {"strides": [self.stride] * 2, "pads": [near, near, far, far], "group": self.groups}


def convolutions(tensors: Mapping[str, np.ndarray]) -> Iterator[Convolution]:
    """Yield the layers; each takes the output of the one before.

    Parameters
    ----------
    tensors : Mapping
        The weights by their names in the package: `_conv_stem.weight`, `_blocks.0._bn1.bias`, ...
    """
    yield _layer(tensors, "stem", "_conv_stem", "_bn0", stride=2)
    number, before, channels = 0, "stem", STEM
    for expansion, first, filters, blocks in STAGES:
        for stride in [first] + [1] * (blocks - 1):
            name, place = f"block{number}", f"_blocks.{number}"
            if expansion > 1:
                yield _layer(tensors, f"{name}.expanded", f"{place}._expand_conv", f"{place}._bn0")
            groups = channels * expansion
            yield _layer(
                tensors, f"{name}.filtered", f"{place}._depthwise_conv", f"{place}._bn1", stride=stride, groups=groups
            )
            adds = before if stride == 1 and filters == channels else None
            yield _layer(tensors, name, f"{place}._project_conv", f"{place}._bn2", relu6=False, adds=adds)
            number, before, channels = number + 1, name, filters
    yield _layer(tensors, "head", "_conv_head", "_bn1")


def _layer(
    tensors: Mapping[str, np.ndarray],
    name: str,
    convolution: str,
    norm: str,
    stride: int = 1,
    groups: int = 1,
    relu6: bool = True,
    adds: str | None = None,
) -> Convolution:
    gain, mean = tensors[f"{norm}.weight"], tensors[f"{norm}.bias"]
    scale = gain / np.sqrt(tensors[f"{norm}.running_var"] + _EPSILON)
    bias = mean - tensors[f"{norm}.running_mean"] * scale
    weight = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
    return Convolution(name, weight, bias, mean, np.abs(gain), stride, groups, relu6, adds)
