"""What a check of a collection's points has found, see `cbir.collection.verify`."""

from dataclasses import dataclass

from cbir.core.words import counted


@dataclass(frozen=True)
class Damage:
    """What a check of all points has found.

    Attributes
    ----------
    points : int
        That were read.
    closed_with : int or None
        How many there were when the collection was last closed, where that is known.
    vectors : tuple of str
        Ids of the points whose vector, or whose id, is not what was stored.
    fields : tuple of str
        Ids of those whose other fields are not, in a collection that only cbir writes to.
    changed : int
        Points whose fields are not what cbir stored, where other programs may have changed them.
    unsigned : int
        Points without a checksum, which an older cbir or another program stored.
    """

    points: int = 0
    closed_with: int | None = None
    vectors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    changed: int = 0
    unsigned: int = 0

    @property
    def damaged(self) -> frozenset[str]:
        """Ids of the points to be encoded and stored again."""
        return frozenset((*self.vectors, *self.fields))

    @property
    def lost(self) -> int:
        """Points that are no longer there; below 0, points that are there again."""
        return 0 if self.closed_with is None else self.closed_with - self.points

    @property
    def none(self) -> bool:
        """Whether all is as it was stored, as far as can be told."""
        return not (self.vectors or self.fields or self.lost)

    def __str__(self) -> str:
        """Return what is damaged, in words; empty if nothing is."""
        said = []
        if self.damaged:
            said.append(f"{counted(len(self.damaged), 'point')} of {self.points:,} damaged")
        if self.lost > 0:
            said.append(f"{counted(self.lost, 'point')} lost")
        if self.lost < 0:
            said.append(f"{counted(-self.lost, 'point')} there that {'was' if self.lost == -1 else 'were'} not before")
        return " and ".join(said)
