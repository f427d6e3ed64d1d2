"""Labels must not reach an encoder that does not learn from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cbir.ingest.learn import Plan, train_bundle
from cbir.model.registry import encoders, kind_of
from tests.encoders.labelled import KIND as LABELLED

#: As little of each recipe as there can be, for those encoders that have such options.
SMALL = {"epochs": 1, "batch_size": 32}
_IMAGES = 96


@dataclass(frozen=True)
class Secretive:
    """An item whose label nobody may ask for."""

    uri: str
    open: Callable[[], Image.Image]

    @property
    def label(self) -> str:
        raise AssertionError("a label was read")


class SecretiveSource:
    """Noisy discs and bars in colour, labelled in vain."""

    name = "secretive"
    passed_over = 0

    def __len__(self) -> int:
        return _IMAGES

    def items(self) -> Iterator[Any]:
        return (Secretive(f"secretive:{n}", lambda n=n: drawn(n)) for n in range(_IMAGES))

    def queries(self) -> list[Any]:
        return [Secretive(f"secretive:{n}", lambda n=n: drawn(n)) for n in range(_IMAGES, _IMAGES + 8)]


def drawn(seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    centre = generator.uniform(8, 24, 2)
    shape = np.hypot(x - centre[0], y - centre[1]) < 8 if seed % 2 else np.abs(x - centre[0]) < 4
    colours = generator.uniform(0, 220, (2, 3))
    pixels = np.where(shape[..., None], *colours) + generator.uniform(0, 35, (32, 32, 3))
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("name", [kind.name for kind in encoders() if kind.learns_from != "labels"])
def test_no_label_is_read(name: str, tmp_path: Path):
    kind = kind_of(name)
    recipe = kind.recipe(**{option: value for option, value in SMALL.items() if option in kind.options})
    bundle, trained = train_bundle(tmp_path, name, SecretiveSource(), Plan(kind, recipe))
    assert trained
    assert bundle.kind == name


def test_what_trainings_kept_is_removed_when_the_model_is_whole(tmp_path: Path):
    for name in (".ours.training.npz", ".ours.training-teacher-1.npz", ".ours-2.training.npz"):
        (tmp_path / name).touch()
    kind = kind_of("pixels")
    train_bundle(tmp_path, "ours", SecretiveSource(), Plan(kind, kind.recipe()))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ours-2.training.npz", "ours"]


def test_where_labels_are_learned_from_they_are_read(tmp_path: Path):
    """What the test above relies on: a source that gives its labels away only to be caught."""
    with pytest.raises(AssertionError, match="a label was read"):
        train_bundle(tmp_path, "labelled", SecretiveSource(), Plan(LABELLED, LABELLED.recipe()))
