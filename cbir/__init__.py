"""Content-based image retrieval: find images that look like a query image, no labels needed.

>>> import cbir
>>> report = cbir.ingest("digits")  # doctest: +SKIP
>>> with cbir.open("digits") as digits:  # doctest: +SKIP
...     hits = digits.search("seven.png", k=10)
>>> cbir.evaluate("digits").scores.lrap[10]  # doctest: +SKIP

Everything heavy (TensorFlow, onnxruntime, Qdrant) is imported when first used.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError, CbirWarning

if TYPE_CHECKING:
    from cbir.api import Evaluation, Overview, denoise, evaluate, ingest, open, overview
    from cbir.collection.interface import Hit
    from cbir.collection.transfer import Transferred
    from cbir.comparison import Comparison, compare
    from cbir.copies import Snapshot, pull, push, restore, snapshot
    from cbir.ingest.job import Report
    from cbir.robustness import Robustness, evaluate_distorted
    from cbir.search.searcher import QueryWarning, Searcher

__all__ = [
    "CbirError",
    "CbirWarning",
    "Comparison",
    "Evaluation",
    "Hit",
    "Overview",
    "QueryWarning",
    "Report",
    "Robustness",
    "Searcher",
    "Snapshot",
    "Transferred",
    "compare",
    "denoise",
    "evaluate",
    "evaluate_distorted",
    "ingest",
    "open",
    "overview",
    "pull",
    "push",
    "restore",
    "snapshot",
]

_HOMES = {
    "Comparison": "cbir.comparison",
    "Hit": "cbir.collection.interface",
    "QueryWarning": "cbir.search.searcher",
    "Report": "cbir.ingest.job",
    "Robustness": "cbir.robustness",
    "Searcher": "cbir.search.searcher",
    "Snapshot": "cbir.copies",
    "Transferred": "cbir.collection.transfer",
    "compare": "cbir.comparison",
    "evaluate_distorted": "cbir.robustness",
    "pull": "cbir.copies",
    "push": "cbir.copies",
    "restore": "cbir.copies",
    "snapshot": "cbir.copies",
}


class _Package(ModuleType):
    """The package itself: `cbir.ingest` is the function, although a subpackage of that name exists.

    Importing `cbir.ingest.job` makes Python bind the subpackage as an attribute of this one; that is
    ignored here. Imports of the form `from cbir.ingest.job import ...` do not use the attribute.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cbir' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "cbir.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
