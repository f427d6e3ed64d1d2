import dataclasses

import pytest

from cbir.model.encoder import ModelError
from cbir.model.registry import DEFAULT, ENCODERS, kind_of


@pytest.mark.parametrize("kind", ENCODERS.values(), ids=ENCODERS)
def test_every_encoder_has_the_verbs_and_a_line(kind):
    method = kind.method
    assert callable(method.learn)
    assert isinstance(method.REVISION, int)
    assert dataclasses.is_dataclass(method.Recipe)
    assert kind.describe(kind.recipe())["encoder"] == kind.name
    assert kind.line.endswith(".")
    assert len(kind.line) <= 75  # beside name and source it fits into 120 columns


def test_options_that_are_not_given_are_not_asked_of_an_encoder():
    assert kind_of("autoencoder").recipe(epochs=3, noise=None, bits=None).epochs == 3
    with pytest.raises(ModelError, match=r"'pixels' has no option --epochs \(its options: none\)"):
        kind_of("pixels").recipe(epochs=3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("contrastive", {"epochs": 2.5}, "epochs must be a whole number, not 2.5"),
        ("contrastive", {"rotation": "far"}, "rotation must be a number, not 'far'"),
        ("contrastive", {"preset": 1}, "preset must be a word, not 1"),
        ("pca", {"seed": "1"}, "seed must be a whole number, not '1'"),
    ],
)
def test_options_of_another_type_are_refused(name: str, options: dict[str, object], message: str):
    with pytest.raises(ModelError, match=message):
        kind_of(name).recipe(**options)


def test_an_unknown_encoder_is_answered_with_those_there_are():
    assert DEFAULT in ENCODERS
    with pytest.raises(ModelError, match=r"no encoder 'resnet'; there are .*pixels"):
        kind_of("resnet")
