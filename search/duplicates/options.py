"""Options of a search for duplicates, declared once: the command line's flags and Python's keywords follow."""

from dataclasses import dataclass
from typing import TypedDict

from cbir.core.options import check_options, option


@dataclass(frozen=True)
class DuplicatesOptions:
    """How to look for duplicates."""

    max_distance: float | None = option(
        None, "Compare only pictures whose features are closer; by default calibrated from the collection.", least=0
    )
    nearest: int = option(10, "Compare each picture with at most so many others, the nearest.", least=1, most=1000)
    pictures: int = option(50, "Pictures that are edited to calibrate the distance.", least=1)
    seed: int = option(0, "Seed of the choice of these, and of what is random in their edits.", least=0)

    def __post_init__(self) -> None:
        check_options(self)


class DuplicatesKeywords(TypedDict, total=False):
    """The same as keyword arguments."""

    max_distance: float | None
    nearest: int
    pictures: int
    seed: int
