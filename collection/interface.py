"""The protocols that both engines implement.

`Engine` makes, finds and replaces collections; `Collection` stores and finds
points. `cbir.collection.embedded` and `cbir.collection.served` implement them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cbir.collection.damage import Damage
from cbir.collection.errors import CollectionError
from cbir.collection.filter import Where
from cbir.collection.metadata import Metadata
from cbir.collection.point import Hit, Label, Page, Payload
from cbir.core.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Info:
    """Size of a collection.

    Attributes
    ----------
    points : int
        Stored.
    indexed : int
        Of them, in the HNSW index.
    bytes : int or None
        On disk; None where that is not known.
    location : str
        A folder, or a server's address.
    """

    points: int
    indexed: int
    bytes: int | None
    location: str


class Collection(Protocol):
    """Named points in Qdrant: Euclidean distance, the default unnamed vector."""

    @property
    def name(self) -> str:
        """The collection's name."""
        ...

    @property
    def metadata(self) -> Metadata:
        """What the collection remembers about how it was filled."""
        ...

    @property
    def closed_with(self) -> int | None:
        """The number of points when the collection was last closed after a change.

        None if that is not known, if it was changed since, or if it is on a server, where others write too.
        """
        ...

    @property
    def signed(self) -> bool:
        """Whether every point has a checksum, if none is damaged: only this cbir has written to the collection."""
        ...

    @property
    def damage(self) -> Damage | None:
        """What a check has found since the collection was opened; None if there was none."""
        ...

    def verify(self, progress: Progress = silent) -> Damage:
        """Compare all points with their checksums, and make anew what can be made of them; stage `check`.

        An embedded collection remembers that it is damaged, until a check finds that it is not.
        """
        ...

    def remember(self, metadata: Metadata) -> None:
        """Replace the metadata, all or nothing; encoder, dimension and keys of newer versions stay.

        Raises
        ------
        NewerFormatError
            A newer cbir has written them since the collection was opened.
        """
        ...

    def upsert(self, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        """Insert or replace points; (n, d) finite float32 vectors. Durable when it returns."""
        ...

    def replace_payloads(self, ids: Sequence[str], payloads: Sequence[Payload]) -> None:
        """Replace the payloads of stored points, whose vectors stay; unknown ids are ignored.

        Durable when it returns.
        """
        ...

    def payloads(self, ids: Sequence[str]) -> dict[str, Payload]:
        """Return the payloads of those of `ids` that are stored."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the vectors, (d,) float32, of those of `ids` that are stored."""
        ...

    def search(self, vector: np.ndarray, k: int, *, where: Where | None = None, exact: bool = False) -> list[Hit]:
        """Return the k closest points, closest first."""
        ...

    def search_batch(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        where: Where | None = None,
        each: Sequence[Where] | None = None,
        exact: bool = False,
        payloads: bool = True,
    ) -> list[list[Hit]]:
        """Search each row of (n, d) `vectors`, cheaper than one by one.

        `each`: filters of the rows' own. Without `payloads`, hits have ids and distances alone, in a third of the time.
        """
        ...

    def scroll(
        self,
        *,
        vectors: bool = True,
        fields: Sequence[str] | None = None,
        where: Where | None = None,
        page: int = 4096,
        start: str | None = None,
    ) -> Iterator[Page]:
        """Yield all points, or those that pass a filter, in the order of their ids.

        Parameters
        ----------
        vectors : bool
            If not, a page's `vectors` are (n, 0).
        fields : sequence of str, optional
            The payload fields to read; by default all.
        where : Where, optional
        page : int
            The most points at once.
        start : str, optional
            An id: points before it are left out, at no cost. There need be no point of that id.
        """
        ...

    def count(self, *, where: Where | None = None) -> int:
        """Count points exactly."""
        ...

    def facet(
        self,
        field: str,
        *,
        where: Where | None = None,
        limit: int | None = None,
        group: Callable[[Label], Label | None] | None = None,
    ) -> list[tuple[Label, int]]:
        """Count the points that have each value of a field, the most frequent value first.

        Texts, whole numbers, true and false are counted; each once of a point, whose copies' places count as well.

        Parameters
        ----------
        field : str
        where : Where, optional
            Count only points that pass a filter.
        limit : int, optional
            The most values; by default all.
        group : callable, optional
            What a value counts as, such as its year; None: not at all.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; unknown ids are ignored."""
        ...

    def pause_indexing(self, *, entirely: bool = False) -> None:
        """Spare the HNSW index while many points are loaded, until `build_index`.

        A server builds none. An embedded collection builds it in steps, each of which is whole when it is done, so that
        a load that is stopped loses one at the most, and a large collection can be searched meanwhile; unless
        `entirely`.
        """
        ...

    def index_pays(self) -> bool:
        """Tell whether `build_index` is worth it: an index would save more than it costs, or Qdrant is to decide."""
        ...

    def build_index(self, *, small: bool = False, progress: Progress = silent) -> None:
        """Build the HNSW index; blocks.

        Parameters
        ----------
        small : bool
            Also where Qdrant finds too few points to be worth it.
        progress : Progress
            Stage `index`.
        """
        ...

    def info(self) -> Info:
        """Return sizes."""
        ...

    def close(self) -> None:
        """Write everything out and release the collection; closing twice is not an error."""
        ...


class Engine(Protocol):
    """Collections in one place."""

    @property
    def location(self) -> str:
        """The place: a folder, or a server's address."""
        ...

    def names(self) -> list[str]:
        """Return the names of the collections, sorted."""
        ...

    def all_metadata(self) -> dict[str, Metadata | CollectionError]:
        """Read the metadata of all collections, cheaper than one by one; an error in place of what cannot be read."""
        ...

    def exists(self, name: str) -> bool:
        """Tell whether there is a collection of this name; it may be damaged, or written by a newer cbir."""
        ...

    def spelled(self, name: str) -> str:
        """Return a name as the collection has it, whose case or Unicode form may be another, or as a new one will."""
        ...

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata without opening it."""
        ...

    def open(self, name: str) -> Collection:
        """Open a collection; CollectionError if there is none of this name."""
        ...

    def info(self, name: str) -> Info:
        """Return a collection's sizes, without opening it where that is possible."""
        ...

    def encode(self, name: str, fingerprint: str, pixels: np.ndarray) -> np.ndarray | None:
        """Encode pixels, (n, h, w, c) uint8, where a collection's encoder of that fingerprint is loaded already.

        None where it is not: only a process that lends an embedded collection has it.
        """
        ...

    def encode_words(self, name: str, fingerprint: str, texts: Sequence[str]) -> np.ndarray | None:
        """Encode texts, (n,), as `encode` does pixels; what the other process warns of is warned of here."""
        ...

    def create(self, name: str, metadata: Metadata) -> Collection:
        """Make an empty collection; CollectionError if there is one of this name."""
        ...

    def replacement(self, name: str, metadata: Metadata) -> AbstractContextManager[Collection]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block succeeds.

        The one in place is searched until then. It may be damaged; NewerFormatError if a newer cbir wrote it.
        """
        ...

    def writing(self, name: str) -> AbstractContextManager[None]:
        """Lock `name` for filling; CollectionBusyError at once if another process has the lock."""
        ...

    def delete(self, name: str) -> None:
        """Remove a collection and all its points, which stay if they have another name.

        Raises
        ------
        CollectionBusyError
            Embedded: it is open, in another process or this one.
        NewerFormatError
            A newer cbir wrote it.
        """
        ...

    def other_names(self, name: str) -> list[str]:
        """Return the other names that the same points have: aliases that somebody gave them on a server."""
        ...

    def close(self) -> None:
        """Close connections; the next call opens them again."""
        ...

    def snapshot(self, name: str, path: Path, progress: Progress = silent) -> None:
        """Write all of a collection, as it is at one moment, into a file; stage `snapshot`."""
        ...

    def restore(self, path: Path, name: str, progress: Progress = silent) -> None:
        """Make collection `name`, which must not exist, from what `snapshot` wrote, all or nothing; stage `restore`."""
        ...
