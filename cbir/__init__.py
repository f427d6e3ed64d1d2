"""Content-based image retrieval: find images that look like a query image, no labels needed.

>>> import cbir
>>> report = cbir.ingest("digits")  # doctest: +SKIP
>>> with cbir.open("digits") as digits:  # doctest: +SKIP
...     hits = digits.search("seven.png", k=10)
>>> cbir.evaluate("digits").scores.lrap[10]  # doctest: +SKIP

Everything heavy (TensorFlow, onnxruntime, Qdrant) is imported when first used.
"""

import importlib
from typing import TYPE_CHECKING

from cbir.errors import CbirError, CbirWarning

if TYPE_CHECKING:
    from cbir.api import Evaluation, Overview, denoise, evaluate, ingest, open, overview
    from cbir.comparison import Comparison, compare
    from cbir.copies import Snapshot, pull, push, restore, snapshot
    from cbir.robustness import Robustness, evaluate_distorted
    from collection.interface import Hit
    from collection.transfer import Transferred
    from ingest.job import Report
    from search.searcher import QueryWarning, Searcher

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
    "Hit": "collection.interface",
    "QueryWarning": "search.searcher",
    "Report": "ingest.job",
    "Robustness": "cbir.robustness",
    "Searcher": "search.searcher",
    "Snapshot": "cbir.copies",
    "Transferred": "collection.transfer",
    "compare": "cbir.comparison",
    "evaluate_distorted": "cbir.robustness",
    "pull": "cbir.copies",
    "push": "cbir.copies",
    "restore": "cbir.copies",
    "snapshot": "cbir.copies",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cbir' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "cbir.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
