"""The encoders that cbir has, by name: a line of description each, and the module that has its verbs.

A module is imported when its encoder is first used: some bring libraries that
take a while to load.
"""

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, cast, get_args, get_type_hints

from cbir.core.errors import flag
from cbir.model.encoder import ModelError
from cbir.model.method import Method


@dataclass(frozen=True)
class Kind:
    """One encoder of the registry.

    Attributes
    ----------
    name : str
    line : str
        What it is, in a line.
    module : str
        Has the verbs of `cbir.model.method.Method`.
    learns_from : str
        `nothing`, `images` or `labels`.
    """

    name: str
    line: str
    module: str
    learns_from: str = "images"

    @property
    def method(self) -> Method:
        """The encoder's module."""
        return cast("Method", importlib.import_module(self.module))

    def recipe(self, **options: Any) -> Any:
        """Make the encoder's recipe from those options that are not None.

        Raises
        ------
        ModelError
            For an option that this encoder does not have.
        """
        made = self.method.Recipe
        known = [field.name for field in fields(made)]
        given = {name: value for name, value in options.items() if value is not None}
        hints = get_type_hints(made)
        for name, value in given.items():
            if name not in known:
                has = ", ".join(flag(option) for option in known) or "none"
                raise ModelError(f"encoder '{self.name}' has no option {flag(name)} (its options: {has})")
            _checked(name, value, hints[name])
        return made(**given)

    def unusual(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a recipe, as it is described, has otherwise than by default.

        Options that came later are at their defaults in what was learned before.
        """
        usual = asdict(self.method.Recipe())
        return {name: value for name, value in recipe.items() if name not in usual or value != usual[name]}

    def describe(self, recipe: Any) -> dict[str, Any]:
        """What decides the encoder besides the images, as JSON values."""
        return {"encoder": self.name, "revision": self.method.REVISION, "recipe": asdict(recipe)}


def _checked(name: str, value: Any, wanted: Any) -> None:
    """Refuse a value of another type than the option's."""
    for kind, called, fits in (
        (int, "a whole number", Integral),
        (float, "a number", Real),
        (str, "a word", str),
    ):
        if kind in (get_args(wanted) or (wanted,)) and not isinstance(value, fits):
            raise ModelError(f"{name} must be {called}, not {value!r}")


ENCODERS = {
    kind.name: kind
    for kind in (
        Kind(
            "autoencoder",
            "The article's convolutional denoising autoencoder; its like in colour.",
            "cbir.model.networks.autoencoder",
        ),
        Kind(
            "contrastive",
            "Ours: learns what stays the same, and denoises too.",
            "cbir.model.networks.contrastive.encoder",
        ),
        Kind(
            "deep-autoencoder",
            "Binary codes, a short one that prunes (Krizhevsky and Hinton 2011).",
            "cbir.model.networks.deep_autoencoder",
        ),
        Kind(
            "neural-codes",
            "A classifier's last layer but one (Babenko et al. 2014).",
            "cbir.model.networks.neural_codes",
            learns_from="labels",
        ),
        Kind("pixels", "The picture itself: the floor.", "cbir.model.classical.pixels", learns_from="nothing"),
        Kind("pca", "Principal components of the pixels.", "cbir.model.classical.pca"),
        Kind(
            "color-histogram",
            "How much of which colour, or grey, wherever it is.",
            "cbir.model.classical.color_histogram",
            learns_from="nothing",
        ),
        Kind(
            "hog",
            "Which way the edges run in each part (Dalal and Triggs 2005).",
            "cbir.model.classical.hog",
            learns_from="nothing",
        ),
        Kind(
            "sift",
            "SIFT on a grid, as VLAD; replaces SURF, which is patented.",
            "cbir.model.classical.sift",
        ),
    )
}
#: Used where none is named.
DEFAULT = "contrastive"


def kind_of(name: str) -> Kind:
    """Return the encoder of that name.

    Raises
    ------
    ModelError
        If there is none.
    """
    if name not in ENCODERS:
        raise ModelError(f"there is no encoder '{name}'; there are {', '.join(ENCODERS)} (see: cbir encoders)")
    return ENCODERS[name]
