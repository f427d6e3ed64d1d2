"""Content-based image retrieval: find images that look like a query image, no labels needed.

>>> import cbir
>>> report = cbir.ingest("digits")  # doctest: +SKIP
>>> with cbir.open("digits") as digits:  # doctest: +SKIP
...     hits = digits.search("seven.png", k=10)
>>> cbir.evaluate("digits").scores.lrap[10]  # doctest: +SKIP

Everything heavy (TensorFlow, onnxruntime, Qdrant) is imported when first used.
"""

import importlib
import pkgutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors; when the program runs, `__getattr__` finds the names
    from cbir.collection.point import Hit as Hit
    from cbir.collection.transfer import Transferred as Transferred
    from cbir.core.errors import CbirError as CbirError
    from cbir.core.errors import CbirWarning as CbirWarning
    from cbir.evaluate.compare.comparison import Comparison as Comparison
    from cbir.evaluate.compare.copies_comparison import CopiesComparison as CopiesComparison
    from cbir.evaluate.compare.entrants import UnlabelledError as UnlabelledError
    from cbir.evaluate.copies.result import Copies as Copies
    from cbir.evaluate.evaluation import Evaluation as Evaluation
    from cbir.evaluate.labels import NoLabelsError as NoLabelsError
    from cbir.evaluate.robustness import Robustness as Robustness
    from cbir.ingest.report import Report as Report
    from cbir.search.duplicates.result import Duplicates as Duplicates
    from cbir.search.options import SearchOptions as SearchOptions
    from cbir.search.query import Combination as Combination
    from cbir.search.query import QueryError as QueryError
    from cbir.search.query import StoredPoint as StoredPoint
    from cbir.search.query import Words as Words
    from cbir.search.searcher import Searcher as Searcher
    from cbir.search.unlike import QueryWarning as QueryWarning
    from cbir.verbs.check import Checked as Checked
    from cbir.verbs.check import check as check
    from cbir.verbs.compare import compare as compare
    from cbir.verbs.compare_copies import compare_copies as compare_copies
    from cbir.verbs.denoise import denoise as denoise
    from cbir.verbs.duplicates import duplicates as duplicates
    from cbir.verbs.embed import Embedded as Embedded
    from cbir.verbs.embed import embed as embed
    from cbir.verbs.evaluate import evaluate as evaluate
    from cbir.verbs.evaluate_copies import evaluate_copies as evaluate_copies
    from cbir.verbs.evaluate_distorted import evaluate_distorted as evaluate_distorted
    from cbir.verbs.ingest import ingest as ingest
    from cbir.verbs.mcp import mcp as mcp
    from cbir.verbs.move import Moved as Moved
    from cbir.verbs.move import move as move
    from cbir.verbs.open import open as open
    from cbir.verbs.overview import Overview as Overview
    from cbir.verbs.overview import overview as overview
    from cbir.verbs.prune import Pruned as Pruned
    from cbir.verbs.prune import prune as prune
    from cbir.verbs.pull import pull as pull
    from cbir.verbs.push import push as push
    from cbir.verbs.remove import Removal as Removal
    from cbir.verbs.remove import remove as remove
    from cbir.verbs.restore import restore as restore
    from cbir.verbs.serve import serve as serve
    from cbir.verbs.snapshot import Snapshot as Snapshot
    from cbir.verbs.snapshot import snapshot as snapshot
    from cbir.verbs.watch import watch as watch

#: The types of what the verbs return and raise, and the modules that define them.
_TYPES = {
    "Checked": "cbir.verbs.check",
    "CbirError": "cbir.core.errors",
    "CbirWarning": "cbir.core.errors",
    "Combination": "cbir.search.query",
    "Comparison": "cbir.evaluate.compare.comparison",
    "Copies": "cbir.evaluate.copies.result",
    "CopiesComparison": "cbir.evaluate.compare.copies_comparison",
    "Duplicates": "cbir.search.duplicates.result",
    "Embedded": "cbir.verbs.embed",
    "Evaluation": "cbir.evaluate.evaluation",
    "Hit": "cbir.collection.point",
    "Moved": "cbir.verbs.move",
    "NoLabelsError": "cbir.evaluate.labels",
    "Overview": "cbir.verbs.overview",
    "Pruned": "cbir.verbs.prune",
    "QueryError": "cbir.search.query",
    "QueryWarning": "cbir.search.unlike",
    "Removal": "cbir.verbs.remove",
    "Report": "cbir.ingest.report",
    "Robustness": "cbir.evaluate.robustness",
    "SearchOptions": "cbir.search.options",
    "Searcher": "cbir.search.searcher",
    "Snapshot": "cbir.verbs.snapshot",
    "StoredPoint": "cbir.search.query",
    "Transferred": "cbir.collection.transfer",
    "UnlabelledError": "cbir.evaluate.compare.entrants",
    "Words": "cbir.search.query",
}
#: The verbs: each is the function of a file in `verbs/`, and has its name.
_VERBS = [module.name for module in pkgutil.iter_modules([f"{place}/verbs" for place in __path__])]

__all__ = sorted([*_TYPES, *_VERBS])


class _Package(ModuleType):
    """The package itself: `cbir.ingest` is the function, although a subpackage of that name exists.

    Importing `cbir.ingest.job` makes Python bind the subpackage as an attribute of this one; that is
    ignored here. Imports of the form `from cbir.ingest.job import ...` do not use the attribute.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cbir' has no attribute {name!r}")
    return getattr(importlib.import_module(_TYPES.get(name, f"cbir.verbs.{name}")), name)


def __dir__() -> list[str]:
    return __all__
