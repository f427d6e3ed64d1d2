"""Links become groups in which every picture is linked to the one in the middle: no chain of likes.

In: linked pairs. Out: groups. A is like B and B like C does not make A like C; so
whoever is not linked to a group's middle leaves it.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


def components(pairs: Iterable[tuple[Key, Key]]) -> list[list[Key]]:
    """Return what is connected by pairs, directly or not (union-find), in the order of the pairs."""
    parents: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for one, other in pairs:
        first, second = root(one), root(other)
        if first != second:
            parents[second] = first
    found: dict[Key, list[Key]] = {}
    for key in list(parents):
        found.setdefault(root(key), []).append(key)
    return list(found.values())


def groups(
    pairs: Sequence[tuple[Key, Key]],
    middle: Callable[[Sequence[Key]], Key],
    linked: Callable[[Key, Key], bool],
) -> list[list[Key]]:
    """Group what is linked.

    Parameters
    ----------
    pairs : sequence of pairs
        The links that are known.
    middle : callable
        Which of some connected keys the others must be linked to.
    linked : callable
        Whether two keys are linked; asked of the middle and the others.

    Returns
    -------
    list of lists
        Of at least two keys, the middle first.
    """
    found = []
    links: dict[Key, list[int]] = {}
    for number, (one, _) in enumerate(pairs):
        links.setdefault(one, []).append(number)
    waiting = components(pairs)
    while waiting:
        keys = waiting.pop()
        centre = middle(keys)
        others = [key for key in keys if key != centre]
        near = [key for key in others if linked(centre, key)]
        if near:
            found.append([centre, *near])
        left = set(others).difference(near)
        # The middle is used up: if nobody is linked to it, it stays alone.
        kept = sorted(number for key in left for number in links.get(key, ()) if pairs[number][1] in left)
        waiting += components([pairs[number] for number in kept])
    return found[::-1]


def stars(pairs: Iterable[tuple[Key, Key]], rank: Callable[[Key], Any]) -> list[list[Key]]:
    """Group what is linked, where no other links are than those that are known.

    As `groups`, in time that grows with the pairs: of 20,000 pictures of one motif, whose links connect them all, those
    without a link to a middle are not looked at again for each middle.

    Parameters
    ----------
    pairs : iterable of pairs
        All links.
    rank : callable
        A key to sort by: of some connected keys, the greatest is the middle.

    Returns
    -------
    list of lists
        Of at least two keys, the middle first.
    """
    neighbours: dict[Key, dict[Key, None]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, {})[other] = None
        neighbours.setdefault(other, {})[one] = None
    found, used = [], set[Key]()
    for key in sorted(neighbours, key=rank, reverse=True):
        near = [other for other in neighbours[key] if other not in used]
        if near and key not in used:
            found.append([key, *near])
            used.update(found[-1])
    return found
