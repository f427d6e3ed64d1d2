"""Related pictures become groups: what to keep of each, and what was done to the others.

In: the relations of pairs, and which points have the same content. Out: groups of
the same picture, and groups of pictures that are only alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from cbir.collection.filter import Filter
from cbir.collection.metadata import Metadata
from cbir.search.duplicates.compared import Compared
from cbir.search.duplicates.groups import groups, stars
from cbir.search.duplicates.keep import Copy, best
from cbir.search.duplicates.members import Members
from cbir.search.duplicates.relation import ALIKE, EDITED, described
from cbir.search.duplicates.result import EXACT, Group, Member

Pair = tuple[str, str]


def grouped(
    compared: Compared,
    exact: Sequence[Pair],
    copied: Iterable[str],
    metadata: Metadata,
    where: Filter | None = None,
) -> tuple[list[Group], list[tuple[Member, ...]]]:
    """Group points.

    Parameters
    ----------
    compared : Compared
        The pairs that were compared; more are compared where a group needs it.
    exact : sequence of (str, str)
        Points of the same content.
    copied : iterable of str
        Points whose content lies in several places.
    metadata : Metadata
    where : Filter, optional
        Of a point's places, only those that pass.

    Returns
    -------
    list of Group
        Those with the most bytes to spare first.
    list of tuples of Member
        Pictures of one motif, which are not the same.
    """
    return _Grouping(compared, metadata, where).made(exact, copied)


class _Grouping:
    def __init__(self, compared: Compared, metadata: Metadata, where: Filter | None) -> None:
        self._compared = compared
        self._payloads = compared.payloads
        self._members = Members(metadata, compared.payloads, compared.looks.sizes, where)
        self._shown: dict[str, float] = {}
        self._covered: set[str] = set()
        for pair, found in compared.edited():
            sides = zip(pair, found.shown, found.laid_over, found.laid_over[::-1], strict=True)
            for point, shown, laid_over, other in sides:
                self._shown[point] = min(shown, self._shown.get(point, 1.0))
                if shown < 1 or (laid_over and not other):
                    self._covered.add(point)

    def made(self, exact: Sequence[Pair], copied: Iterable[str]) -> tuple[list[Group], list[tuple[Member, ...]]]:
        links = [*self._compared.of_kind(EDITED), *exact]
        same = groups(links, self._best, self._edited)
        within = {point: ids[0] for ids in same for point in ids}
        same += [[point] for point in copied if point not in within]
        found = [group for ids in same if (group := self._group(ids)) is not None]
        # Linked, but not to the same picture to keep: all that can be said is that they are alike.
        likes = self._compared.of_kind(ALIKE) + [
            pair for pair in links if within.get(pair[0], pair[0]) != within.get(pair[1], pair[1])
        ]
        return sorted(found, key=lambda group: (-_spare(group), group.keep.uri)), self._alike(likes, within)

    def _same(self, one: str, other: str) -> bool:
        hashes = [self._payloads[point].get("sha256") for point in (one, other)]
        return hashes[0] is not None and hashes[0] == hashes[1]

    def _edited(self, one: str, other: str) -> bool:
        if self._same(one, other):
            return True
        found = self._compared.get(one, other)
        return found is not None and found.kind == EDITED

    def _best(self, points: Sequence[str]) -> str:
        return best([self._copy(point) for point in points])[0].id

    def _copy(self, point: str) -> Copy:
        payload, looks = self._payloads[point], self._compared.looks
        width, height = self._members.size(point) or (0, 0)
        return Copy(
            id=point,
            pixels=width * height * min(looks.inside.get(point, 1.0), self._shown.get(point, 1.0)),
            covered=point in self._covered,
            camera=bool(payload.get("taken_at") or payload.get("camera")),
            grey=looks.grey.get(point, False),
            bytes=int(payload.get("bytes") or 0),
            modified=int(payload.get("modified") or 0),
            uri=str(payload.get("uri", "")),
        )

    def _group(self, points: Sequence[str]) -> Group | None:
        """Make a group of the point to keep and others; None if there is no other file."""
        # Of files that are the same byte for byte nothing was opened: they may be gone.
        there = [point for point in points if self._members.of(point)]
        if not there:
            return None
        centre = there[0]
        others = [point for point in there[1:] if centre == points[0] or self._edited(centre, point)]
        keep, *copies = self._members.of(centre)
        for point in others:
            how, keypoints = self._how(centre, point)
            copies += self._members.of(point, how, keypoints)
        paths = {keep.path}
        copies = [each for each in copies if each.path is None or each.path not in paths]
        if not copies:
            return None
        different = [point for point in [centre, *others] if not self._same(centre, point)]
        why = best([self._copy(point) for point in [centre, *different]])[1] if different else "oldest file"
        return Group(keep, why, tuple(copies))

    def _how(self, centre: str, point: str) -> tuple[str, int]:
        """Return what was done to a picture, and the keypoints that it has in common with the one to keep."""
        if self._same(centre, point):
            return EXACT, 0
        found = self._compared.get(centre, point)
        one, other = self._compared.looks.get(centre), self._compared.looks.get(point)
        if found is None or one is None or other is None:
            return "a copy", 0
        sizes = self._members.size(centre) or one.shape[::-1], self._members.size(point) or other.shape[::-1]
        return described(found, one, other, sizes), found.agreeing

    def _alike(self, links: Sequence[Pair], within: dict[str, str]) -> list[tuple[Member, ...]]:
        """Group pictures of one motif; of those that are the same, the one to keep stands for all."""
        pairs = [(within.get(one, one), within.get(other, other)) for one, other in links]
        pairs = list(dict.fromkeys((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]))
        counted = Counter(point for pair in pairs for point in pair)
        found = stars(pairs, lambda point: (counted[point], point))
        members = [tuple(member for point in points for member in self._members.of(point)[:1]) for points in found]
        ordered = [tuple(sorted(each, key=lambda member: (member.source, member.uri))) for each in members]
        return sorted((each for each in ordered if len(each) > 1), key=lambda each: (-len(each), each[0].uri))


def _spare(group: Group) -> int:
    return sum(member.bytes or 0 for member in group.others)
