"""What a source does not take is counted, a reason each: memory stays the same, however much it is."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cbir.core.uris import uri_of
from cbir.ingest.sources.source import EXAMPLES, LeftOut

#: Endings, names and the like that are counted at the most, and those that a reason lists.
_DETAILS, _LISTED = 1_000, 4


@dataclass
class _Count:
    hint: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)


class Tally:
    """Counts by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def add(self, reason: str, path: bytes, *, detail: str = "", hint: str = "") -> None:
        """Count something that is not taken.

        Parameters
        ----------
        reason : str
            Why; one of few.
        path : bytes
            Relative to the root, with `/`; a folder's ends with one.
        detail : str
            What the reason lists: an ending, a name.
        hint : str
            What to do in order to take it; with each reason, the first one counts.
        """
        count = self._counts.setdefault(reason, _Count(hint))
        count.count += 1
        if len(count.examples) < EXAMPLES:
            count.examples.append(uri_of(os.fsdecode(path)))
        if detail and (detail in count.details or len(count.details) < _DETAILS):
            count.details[detail] += 1

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """All that was counted, the most frequent reason first."""
        counts = sorted(self._counts.items(), key=lambda each: -each[1].count)
        return tuple(
            LeftOut(reason + _listed(count.details), count.count, tuple(count.examples), count.hint)
            for reason, count in counts
        )


def _listed(details: Counter[str]) -> str:
    """Return the most frequent details for a reason."""
    if not details:
        return ""
    most = [detail for detail, _ in details.most_common(_LISTED)]
    return f" ({', '.join(most)}{', ...' if len(details) > len(most) else ''})"
