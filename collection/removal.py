"""What a filter removes of points: places, and a point with the last of them.

In: an open collection and a filter. Out: page by page, the points that go, and the payloads of those that stay because
their content is somewhere else too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cbir.collection.filter import AllOf, Filter
from cbir.collection.filter_place import at_place
from cbir.collection.interface import Collection
from cbir.collection.place import places_of, stored_places, with_places
from cbir.collection.point import Payload


@dataclass
class Taken:
    """What is removed of some points.

    Attributes
    ----------
    gone : list of str
        Ids of points all of whose places pass.
    copies : int
        Places of these beyond the first ones.
    left : dict
        Ids of points that keep other places, to the payloads that they have from then on.
    places : int
        Places that are taken off these.
    """

    gone: list[str] = field(default_factory=list)
    copies: int = 0
    left: dict[str, Payload] = field(default_factory=dict)
    places: int = 0

    def __len__(self) -> int:
        """Number of points."""
        return len(self.gone) + len(self.left)


def taken(collection: Collection, chosen: Filter, fields: Sequence[str] | None = None) -> Iterator[Taken]:
    """Yield what a filter removes, for a page of points each.

    Parameters
    ----------
    collection : Collection
        May be changed meanwhile: what is removed has been passed.
    chosen : Filter
        Of a content's places, those count that pass; what is no place's, such as a camera, is the same for all of them.
    fields : sequence of str, optional
        Of the payloads; by default all. Those of `cbir.collection.place` are needed.
    """
    passing: dict[Filter, set[str]] = {}

    def passes(identity: str, condition: Filter | bool) -> bool:
        if isinstance(condition, bool):
            return condition
        if condition not in passing:
            pages = collection.scroll(vectors=False, fields=(), where=AllOf((chosen, condition)))
            passing[condition] = {each for page in pages for each in page.ids}
        return identity in passing[condition]

    for page in collection.scroll(vectors=False, fields=fields, where=chosen):
        found = Taken()
        for identity, payload in zip(page.ids, page.payloads, strict=True):
            places = list(zip(stored_places(payload), places_of(payload), strict=True))
            if len(places) == 1:
                found.gone.append(identity)
                continue
            kept = [place for stored, place in places if not passes(identity, at_place(chosen, stored))]
            if not kept:
                found.gone.append(identity)
                found.copies += len(places) - 1
            elif len(kept) < len(places):
                # What the source said of the first place stays until the next ingest, which knows what it says of this.
                found.left[identity] = with_places(payload, kept)
                found.places += len(places) - len(kept)
        yield found
