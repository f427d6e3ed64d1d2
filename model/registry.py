"""The encoders by name.

An encoder is a module of one of the `PACKAGES` that describes itself in `KIND`;
putting a file there is all it takes. `color-histogram` is the module
`color_histogram`. A module of `TABLES` offers several by `kinds`. Looking one
encoder up imports that module only; TensorFlow and other heavy libraries are
imported when an encoder uses them.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from typing import Any

from cbir.core.options import identifier, split
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.suited import Traits

#: Looked through in this order; `encoders()` lists them in this order too.
PACKAGES = ["cbir.model.networks", "cbir.model.classical", "cbir.model.pretrained"]
#: Modules that offer several, a row each, by `kinds`; `method_of` returns what a row's module would be.
TABLES = ["cbir.model.pretrained.networks"]
#: Used where no encoder is named, and for which pictures.
DEFAULTS = {"photo": "photographs and other pictures", "contrastive": "small grey pictures, such as digits"}


def usual_encoder(traits: Traits) -> str:
    """Return the name of the encoder to use where none is named.

    Photographs, drawings and scans are what networks were trained on before; of digits and the like they
    know less than what can be learned from these in a minute (docs/encoders.md).
    """
    return "contrastive" if traits.grey and traits.small else "photo"


def kind_of(name: str) -> Kind:
    """Return the encoder of that name.

    Raises
    ------
    ModelError
        If there is none, listing those there are.
    """
    module = identifier(name)
    if module.isidentifier():
        for package in PACKAGES:
            kind = _kind(f"{package}.{module}")
            if kind is not None and kind.name == name:
                return kind
    for kind in _listed():
        if kind.name == name:
            return kind
    names = ", ".join(kind.name for kind in encoders())
    raise ModelError(f"unknown encoder '{name}'; choose from {names} (see: cbir encoders)")


def encoders() -> list[Kind]:
    """Return all encoders: package by package, by name; then those of the tables."""
    found: dict[str, Kind] = {}
    for package in PACKAGES:
        for module in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda m: m.name):
            kind = _kind(f"{package}.{module.name}")
            if kind is not None:
                found.setdefault(kind.name, kind)
    for kind in _listed():
        found.setdefault(kind.name, kind)
    return list(found.values())


def parse_encoder(text: str, options: Mapping[str, Any] | None = None) -> tuple[Kind, Any]:
    """Read an encoder and its options.

    Parameters
    ----------
    text : str
        A name, or a name with options such as `contrastive:rotation=180,preset=quality`.
    options : Mapping, optional
        More options by name; those in the text win.

    Returns
    -------
    kind : Kind
    recipe : the encoder's Recipe

    Raises
    ------
    ModelError
        No such encoder.
    OptionError
        An option that the encoder does not have, listing those it has, or a wrong value.
    """
    name, written = split(text)
    kind = kind_of(name)
    given = {identifier(option): value for option, value in [*(options or {}).items(), *written.items()]}
    return kind, kind.recipe(**given)


def _listed() -> list[Kind]:
    return [kind for table in TABLES for kind in importlib.import_module(table).kinds()]


def _kind(module: str) -> Kind | None:
    """Return what a module says about itself; None if there is no such module, or it is not an encoder."""
    if importlib.util.find_spec(module) is None:
        return None
    kind = getattr(importlib.import_module(module), "KIND", None)
    return kind if isinstance(kind, Kind) else None
