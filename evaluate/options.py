"""The options of an evaluation, declared once, as those of a search are (`cbir.search.options`)."""

from dataclasses import dataclass

from cbir.core.options import option
from cbir.search.options import RankingKeywords, RankingOptions


@dataclass(frozen=True)
class EvaluationOptions(RankingOptions):
    """How queries are drawn and ranked."""

    queries: int = option(1000, "The most queries; drawn without replacement.", least=1)
    seed: int = option(0, "Random seed for choosing queries.", least=0)


class EvaluationKeywords(RankingKeywords, total=False):
    """`EvaluationOptions` as the types of keyword arguments."""

    queries: int
    seed: int
