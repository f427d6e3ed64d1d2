"""Which contents a collection holds, asked of the server in batches, by whoever has just hashed some files.

In: hashes. Out: answers to "is this content stored?", for the time of one parcel. What a content is stored under, and
where else it is, only the driver knows (`cbir.ingest.places`).
"""

from collections.abc import Collection as Container
from collections.abc import Iterable

from cbir.collection.interface import Collection
from cbir.collection.point import content_id
from cbir.ingest.claim import Claim, Content

_NUMBER = 0  # there is no table


class StoredContents:
    """See `cbir.ingest.read.Contents`.

    Parameters
    ----------
    collection : Collection
    damaged : container of str
        Ids of points that count as not stored.
    """

    def __init__(self, collection: Collection, damaged: Container[str] = ()) -> None:
        self._collection = collection
        self._damaged = damaged
        self._known: dict[str, Content | None] = {}

    def prepare(self, hashes: Iterable[str]) -> None:
        """Ask which of these contents are stored."""
        ids = {content_id(sha256): sha256 for sha256 in hashes if sha256 not in self._known}
        stored = self._collection.payloads(list(ids)) if ids else {}
        for identity, sha256 in ids.items():
            payload = None if identity in self._damaged else stored.get(identity)
            self._known[sha256] = None if payload is None else Content(_NUMBER, identity, "format" in payload)

    def content(self, sha256: str, place: tuple[str, str] | None = None) -> Content | None:  # noqa: ARG002 - one a hash
        """Return the content of a hash."""
        return self._known.get(sha256)

    def expect(self, identity: str, sha256: str | None) -> Content:
        """Note a content that is about to be stored, so that its next copy in the parcel is not encoded too."""
        content = Content(_NUMBER, identity, detailed=True)
        if sha256 is not None:
            self._known[sha256] = content
        return content

    def at(self, source: str, uri: str) -> list[Claim]:  # noqa: ARG002 - a Contents
        """Return none: what the first cbir stored without a hash is encoded again."""
        return []

    def hashed(self, content: int, sha256: str) -> None:
        """Do nothing: there is no table."""
