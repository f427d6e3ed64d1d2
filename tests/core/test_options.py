"""Options declared as fields of a dataclass, read from text and from values."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.core.options import OptionError, check_options, make, option, options_of, spell, split


@dataclass(frozen=True)
class Recipe:
    epochs: int | None = option(None, "Passes over the images.", least=1)
    noise: float = option(0.5, "Standard deviation.", least=0)
    preset: str = option("default", "How much work.", choices=("default", "quality"))
    fast: bool = option(False, "Skip what takes long.")
    batch_size: int = option(128, "Images per step.", least=1, most=1000)
    only: Sequence[str] = option((), "Layers; may be repeated.")

    def __post_init__(self) -> None:
        check_options(self)


def test_text_and_values_make_the_same():
    name, texts = split("net: epochs=3, batch-size=64,noise=0.25,preset=quality,fast=yes")
    assert name == "net"
    made = make(Recipe, texts, "encoder 'net'")
    assert made == Recipe(3, 0.25, "quality", True, 64)
    assert make(Recipe, {"epochs": 3, "batch_size": 64, "noise": 0.25, "preset": "quality", "fast": True}, "") == made


@given(st.integers(1, 10**9), st.floats(0, 1e6).map(lambda x: float(f"{x:g}")), st.sampled_from(["default", "quality"]))
def test_what_is_spelled_is_read_again(epochs: int, noise: float, preset: str):
    options = {"epochs": epochs, "noise": noise, "preset": preset}
    name, texts = split(spell("net", options))
    assert (name, make(Recipe, texts, "")) == ("net", Recipe(**options))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"epoch": 1}, "has no option 'epoch' (its options: epochs, noise, preset, fast, batch-size, only)"),
        ({"epochs": "few"}, "epochs must be a whole number, not 'few'"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"epochs": True}, "epochs must be a whole number, not True"),
        ({"noise": "nan"}, "noise must be at least 0, not nan"),
        ({"noise": float("inf")}, "noise must be at least 0, not inf"),
        ({"preset": "best"}, "preset must be default or quality, not 'best'"),
        ({"batch_size": 1001}, "batch-size must be at most 1000, not 1001"),
        ({"fast": "maybe"}, "fast must be true or false, not 'maybe'"),
        ({"only": 3}, "only must be a sequence, not 3"),
        ({"only": [3]}, "only must be a word, not 3"),
    ],
)
def test_wrong_options_are_named(given: dict[str, object], told: str):
    with pytest.raises(OptionError) as error:
        make(Recipe, given, "encoder 'net'")
    assert told in str(error.value)


def test_an_instance_checks_itself():
    with pytest.raises(OptionError, match="at least 1"):
        Recipe(epochs=0)
    with pytest.raises(OptionError, match="'epochs' in 'net:epochs' is not an option"):
        split("net:epochs")


def test_types_and_help_are_listed():
    listed = options_of(Recipe)
    assert [(o.type, o.default) for o in listed.values()] == [
        (int, None),
        (float, 0.5),
        (str, "default"),
        (bool, False),
        (int, 128),
        (str, ()),
    ]
    assert listed["noise"].help == "Standard deviation."
    assert [name for name, each in listed.items() if each.repeatable] == ["only"]


def test_an_option_that_may_be_repeated_holds_several():
    assert make(Recipe, {"only": "a b"}, "").only == ("a b",)
    assert make(Recipe, {"only": ["a", "b"]}, "").only == ("a", "b")
    with pytest.raises(OptionError, match="only must be a sequence, not 'ab'"):
        Recipe(only="ab")
