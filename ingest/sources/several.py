"""Several sources, read one after the other as if they were one.

In: sources. Out: a source whose items are those of all. Each root keeps a name
of its own, so that it is known again whatever it is named together with.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import chain, count
from typing import Any, Self

from cbir.ingest.sources.source import EXAMPLES, Item, LeftOut, Source


class SeveralSources(Source):
    """A source made of others, in their order.

    Parameters
    ----------
    parts : sequence of Source
        At least one. Roots of the same name are renamed: `photos`, `photos-2`, ...
    """

    def __init__(self, parts: Sequence[Source]) -> None:
        taken: set[str] = set()
        self.parts: list[Source] = []
        for part in parts:
            names = {}
            for name in part.roots:
                numbered = chain([name], (f"{name}-{number}" for number in count(2)))
                names[name] = next(each for each in numbered if each not in taken)
                taken.add(names[name])
            self.parts.append(part.renamed(names))

    def __str__(self) -> str:
        return ", ".join(map(str, self.parts))

    @property
    def name(self) -> str:
        """That of the first."""
        return self.parts[0].name

    @property
    def roots(self) -> Mapping[str, str]:
        """Those of all."""
        return {name: path for part in self.parts for name, path in part.roots.items()}

    @property
    def choices(self) -> Mapping[str, Mapping[str, Any]]:
        """Those of all."""
        return {name: choice for part in self.parts for name, choice in part.choices.items()}

    @property
    def names(self) -> Sequence[str]:
        """Those of all."""
        return list(dict.fromkeys(name for part in self.parts for name in part.names))

    @property
    def complete(self) -> bool:
        """Whether one of them is: of the others, `unlisted` says that they are not."""
        return any(part.complete for part in self.parts)

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What the parts leave out, added up by its reason."""
        counts: Counter[tuple[str, str]] = Counter()
        examples: dict[tuple[str, str], list[str]] = {}
        for left in chain.from_iterable(part.left_out for part in self.parts):
            counts[left.reason, left.hint] += left.count
            examples.setdefault((left.reason, left.hint), []).extend(left.examples)
        return tuple(
            LeftOut(reason, number, tuple(examples[reason, hint][:EXAMPLES]), hint)
            for (reason, hint), number in counts.most_common()
        )

    @property
    def problems(self) -> "Problems":
        """Those of all."""
        return Problems(self.parts)

    @property
    def unlisted(self) -> Sequence[tuple[str, str]]:
        """What was not looked into, and the whole of each root, dataset and so on of which only a part was to be."""
        whole = [(name, "") for part in self.parts if not part.complete for name in part.names]
        return [*whole, *(place for part in self.parts for place in part.unlisted)]

    def count(self, name: str) -> int:
        """Return the number of items of the parts that have this name."""
        return sum(part.count(name) for part in self.parts if name in part.names)

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same sources with other names for their roots."""
        return type(self)([part.renamed(names) for part in self.parts])

    def limited(self, count: int) -> Self:
        """Return the same sources with fair samples of their pictures: they take turns."""
        left, waiting = count, sorted(range(len(self.parts)), key=lambda place: len(self.parts[place]))
        parts = list(self.parts)
        for position, place in enumerate(waiting):  # what a small one does not need, the larger ones share
            share = min(len(parts[place]), left // (len(waiting) - position))
            parts[place] = parts[place].limited(share)
            left -= share
        return type(self)(parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def items(self) -> Iterator[Item]:
        """Yield the images of one after the other."""
        return chain.from_iterable(part.items() for part in self.parts)

    def queries(self) -> list[Item]:
        """Return the held-out images of all."""
        return [item for part in self.parts for item in part.queries()]


class Problems:
    """The problems of several sources; `len` counts them."""

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(len(problems) for part in self._parts if isinstance(problems := part.problems, Sized))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return chain.from_iterable(part.problems for part in self._parts)
