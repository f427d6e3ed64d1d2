"""Pairs of stored pictures, compared once each.

In: pairs of ids, and a way to open what they stand for. Out: their relations.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from cbir.collection.point import Payload
from cbir.core.progress import Progress
from cbir.core.workers import ordered_map
from cbir.search.duplicates.candidates import in_good_order
from cbir.search.duplicates.looks import Looks
from cbir.search.duplicates.relation import EDITED, Relation, relation


class Compared:
    """Relations of pairs of points, each worked out once.

    Parameters
    ----------
    looks : Looks
    payloads : Mapping
        By id, of the points that are compared.
    """

    def __init__(self, looks: Looks, payloads: Mapping[str, Payload]) -> None:
        self.looks = looks
        self.payloads = payloads
        self._relations: dict[tuple[str, str], Relation | None] = {}

    def compare(self, pairs: Sequence[tuple[str, str]], progress: Progress) -> None:
        """Compare pairs, in threads; stage `confirm`."""
        ordered = in_good_order(pairs)
        # Closed at once when this is interrupted: what has not begun is cancelled.
        with closing(ordered_map(self._relation, ordered)) as results:
            for done, (pair, found) in enumerate(zip(ordered, results, strict=True), 1):
                self._relations[pair] = found
                progress("confirm", done, len(ordered))

    def get(self, one: str, other: str) -> Relation | None:
        """Return how the second point is related to the first."""
        pair = (min(one, other), max(one, other))
        if pair not in self._relations:
            self._relations[pair] = self._relation(pair)
        found = self._relations[pair]
        return found.turned_round() if found is not None and pair != (one, other) else found

    def of_kind(self, kind: str) -> list[tuple[str, str]]:
        """Return the pairs that are known to be related in this way."""
        return [pair for pair, found in self._relations.items() if found is not None and found.kind == kind]

    def edited(self) -> Iterator[tuple[tuple[str, str], Relation]]:
        """Yield the pairs of which one is known to be an edited copy of the other, with their relations."""
        yield from (
            (pair, found) for pair, found in self._relations.items() if found is not None and found.kind == EDITED
        )

    def _relation(self, pair: tuple[str, str]) -> Relation | None:
        one, other = (self.looks.get(point) for point in pair)
        if one is None or other is None:
            return None
        times = [self.payloads[point].get("taken_at") for point in pair]
        return relation(one, other, other_time=differ(*times))


#: The date and time on the camera's clock, and parts of a second.
_CLOCK = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?")


def differ(one: object, other: object) -> bool:
    """Tell whether two cameras' clocks showed different times, as payloads have them; not if either is unknown.

    Zones and parts of a second are lost by some editors, so what only one of both has does not count.
    """
    ours, theirs = (_CLOCK.match(str(each or "")) for each in (one, other))
    if ours is None or theirs is None:
        return False
    parts = [match[2].rstrip("0") for match in (ours, theirs) if match[2]]
    return ours[1] != theirs[1] or len(set(parts)) == 2
