"""The options of an evaluation, declared once, as those of a search are (`cbir.search.options`)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cbir.core.errors import CbirError
from cbir.core.options import flag, option
from cbir.search.options import RankingKeywords, RankingOptions


@dataclass(frozen=True)
class EvaluationOptions(RankingOptions):
    """How queries are drawn and ranked."""

    queries: int = option(1000, "The most queries; drawn without replacement.", least=1)
    seed: int = option(0, "Random seed for choosing queries.", least=0)


@dataclass(frozen=True)
class CopiesOptions(EvaluationOptions):
    """How stored pictures are drawn, edited and searched for."""

    queries: int = option(200, "The most pictures to edit; drawn without replacement.", least=1)


@dataclass(frozen=True)
class CommandOptions(RankingOptions):
    """`cbir evaluate`: one flag for what the two evaluations have in common."""

    queries: int | None = option(None, "The most queries; default: 1000, and 200 pictures to edit.", least=1)
    seed: int = option(0, "Random seed for choosing queries.", least=0)
    copies: bool | None = option(
        None,
        "Search for edited copies of stored pictures, with --distort for those; default: yes, unless the pictures have "
        "labels and are smaller than 64 pixels.",
    )

    @property
    def flags(self) -> list[str]:
        """The flags that were given another value than their default."""
        return [flag(field.name) for field in fields(self) if getattr(self, field.name) != field.default]

    @property
    def given(self) -> dict[str, Any]:
        """What either evaluation takes as keywords, without what is left to its default."""
        queries = {} if self.queries is None else {"queries": self.queries}
        return {**self.ranking, **queries, "seed": self.seed}


class EvaluationKeywords(RankingKeywords, total=False):
    """`EvaluationOptions` and `CopiesOptions` as the types of keyword arguments."""

    queries: int
    seed: int


def require_no_options(from_run: object, given: Mapping[str, Any]) -> None:
    """Refuse what a stored run does not follow.

    Raises
    ------
    CbirError
        One of the options is given, besides a run.
    """
    if named := [name for name, value in given.items() if value]:
        raise CbirError(f"{from_run} is as it was searched for: leave out {', '.join(named)}, or from_run")
