"""What an encoder's module says about itself: name, description, and what it learns from.

In: options. Out: the encoder's recipe, checked, and its description for model.json.
"""

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from cbir.core.options import Option, make, options_of
from cbir.model.method import Method
from cbir.model.preprocessing import Preprocessing


@dataclass(frozen=True)
class Kind:
    """One encoder of the registry.

    Attributes
    ----------
    name : str
        The name of the module, with hyphens.
    summary : str
        One line.
    module : str
        The module that has the functions of `cbir.model.method.Method`; usually `__name__`.
    learns_from : str
        `nothing`, `images` or `labels`.
    words : bool
        Whether it has a text tower (`cbir.model.words`), so that words can be searched for.
    self_contained : bool
        Nothing is needed but pictures: no file, no download. A comparison of all encoders takes these.
    download : int
        Bytes that are fetched at first use.
    licence : str
        Of the network's weights, where somebody else trained it.
    streams : bool
        It takes the images that it learns from in blocks, which are never held all at once.
    most_images : int
        More images teach it nothing more; all are held in memory unless it `streams` (78 MB at 28x28).
    """

    name: str
    summary: str
    module: str
    learns_from: str = "images"
    words: bool = False
    self_contained: bool = True
    download: int = 0
    licence: str = ""
    streams: bool = False
    most_images: int = 100_000

    @property
    def method(self) -> Method:
        """The encoder's module; where one module offers several, what its `method_of` returns for this name."""
        module = importlib.import_module(self.module)
        method_of = getattr(module, "method_of", None)
        return cast("Method", module if method_of is None else method_of(self.name))

    @property
    def options(self) -> dict[str, Option]:
        """The encoder's options by name."""
        return options_of(self.method.Recipe)

    def recipe(self, **options: Any) -> Any:
        """Make the encoder's recipe; options that are not given have their defaults.

        Raises
        ------
        OptionError
            An option that this encoder does not have, listing those it has, or a wrong value.
        """
        return make(self.method.Recipe, options, f"encoder '{self.name}'")

    def preprocessing(self, suited: Preprocessing) -> Preprocessing:
        """Return what pictures are brought to: what suits the source's pictures, unless the module decides."""
        chosen = getattr(self.method, "preprocessing", None)
        return suited if chosen is None else chosen(suited)

    def non_defaults(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Return those options of a stored recipe that differ from the defaults.

        An option that was added later is missing from older recipes: it had its default then.
        """
        defaults = asdict(self.method.Recipe())
        return {name: value for name, value in recipe.items() if name not in defaults or value != defaults[name]}

    def describe(self, recipe: Any) -> dict[str, Any]:
        """Return what decides the encoder besides the images, as JSON values."""
        return {"encoder": self.name, "revision": self.method.REVISION, "recipe": asdict(recipe)}
