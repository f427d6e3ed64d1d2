import dataclasses
import json
import subprocess
import sys

import pytest

from cbir.core.options import OptionError
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.registry import DEFAULTS, encoders, kind_of, parse_encoder, usual_encoder
from cbir.model.suited import Traits

FILE = ("onnx-file", "network")


@pytest.mark.parametrize("kind", encoders(), ids=lambda kind: kind.name)
def test_every_encoder_has_what_a_method_has_and_a_line(kind: Kind):
    method = kind.method
    assert callable(method.learn)
    assert isinstance(method.REVISION, int)
    assert dataclasses.is_dataclass(method.Recipe)
    assert kind.describe(kind.recipe())["encoder"] == kind.name
    assert kind.summary.endswith(".")
    assert len(kind.summary) <= 75  # beside name and source it fits into 120 columns
    assert kind_of(kind.name) == kind
    # Which file it is, is no option of an encoder from a file.
    options = [field.name for field in dataclasses.fields(method.Recipe) if (kind.name, field.name) != FILE]
    assert [option.name for option in kind.options.values()] == options


def test_all_are_listed_networks_first():
    names = [kind.name for kind in encoders()]
    assert names[:4] == ["autoencoder", "contrastive", "deep-autoencoder", "neural-codes"]
    assert names[4:9] == ["color-histogram", "hog", "pca", "pixels", "sift"]
    assert names[9:] == ["onnx-file", "photo", "dinov2", "clip", "siglip2", "tinyclip"]
    assert set(names) >= DEFAULTS.keys()


def test_digits_are_learned_and_all_else_is_seen_as_photographs_are():
    usual = {
        Traits(grey, small): usual_encoder(Traits(grey, small)) for grey in (True, False) for small in (True, False)
    }
    assert [traits for traits, name in usual.items() if name == "contrastive"] == [Traits(grey=True, small=True)]
    assert set(usual.values()) == DEFAULTS.keys()


def test_looking_one_up_imports_its_module_and_no_other():
    code = """if True:
        import json, sys
        from cbir.model.registry import kind_of
        kind_of("color-histogram").recipe()
        ours = ("cbir.model.classical.", "cbir.model.networks")
        print(json.dumps([name for name in sys.modules if name.startswith(ours)]))
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(json.loads(found)) == {"cbir.model.networks", "cbir.model.classical.color_histogram"}


@pytest.mark.parametrize("name", ["resnet", "color_histogram", "training", "", "no module", "pixels."])
def test_an_unknown_encoder_is_answered_with_those_there_are(name: str):
    with pytest.raises(ModelError, match=rf"unknown encoder '{name}'; choose from .*autoencoder, .*pixels"):
        kind_of(name)


def test_an_encoder_is_read_with_its_options():
    kind, recipe = parse_encoder("contrastive:rotation=180, batch-size=64", {"seed": 3, "batch_size": 8})
    assert kind == kind_of("contrastive")
    assert recipe == kind.recipe(rotation=180, batch_size=64, seed=3)
    assert parse_encoder("pixels") == (kind_of("pixels"), kind_of("pixels").recipe())


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("pixels", {"epochs": 3}, r"'pixels' has no option 'epochs' \(its options: none\)"),
        ("pca:words=3", {}, r"'pca' has no option 'words' \(its options: values, seed\)"),
        ("contrastive", {"epochs": 2.5}, "epochs must be a whole number, not 2.5"),
        ("contrastive:rotation=far", {}, "rotation must be a number, not 'far'"),
        ("contrastive", {"preset": 1}, "preset must be a word, not 1"),
        ("pca:seed", {}, "'seed' in 'pca:seed' is not an option"),
    ],
)
def test_wrong_options_are_refused_with_what_would_be_right(text: str, options: dict[str, object], message: str):
    with pytest.raises(OptionError, match=message):
        parse_encoder(text, options)


def test_what_differs_from_the_defaults_is_told_apart_from_what_came_later():
    pca = kind_of("pca")
    assert pca.non_defaults({"values": 128}) == {}  # of before there was a seed
    assert pca.non_defaults({"values": 64, "seed": 0, "removed": 1}) == {"values": 64, "removed": 1}
