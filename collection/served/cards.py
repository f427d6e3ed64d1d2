"""The metadata of served collections, stored on the server as JSON objects.

Qdrant stores metadata with a collection since 1.16; ours are there under the
key `cbir`. On an older server they are the payload of a reserved point in a
reserved collection, `cbir-cards`: a point in the collection itself would show
up among every other tool's results.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.collection.served.reader import Described
from cbir.collection.served.server import RefusedError, Server
from cbir.core.errors import first_line
from cbir.core.workers import batched

#: The first version that stores metadata with a collection.
METADATA_SINCE = (1, 16)

RESERVED = "cbir-cards"
_KEY = "cbir"

#: Points of the reserved collection in one request.
_MOST_IDS = 1000

#: Seconds to ask for metadata again, which a node that is away may have alone.
_SECONDS = 5.0


class MetadataStore:
    """The metadata of a server's collections.

    Parameters
    ----------
    server : Server
    reserved : bool, optional
        Use the reserved collection; by default where the server is older than `METADATA_SINCE`.
    """

    def __init__(self, server: Server, *, reserved: bool | None = None) -> None:
        self._server = server
        self._reserved = reserved
        self._exists: bool | None = None

    def of(self, collection: str, described: Described) -> Metadata | None:
        """Return a collection's metadata, or None if cbir did not fill it.

        Raises
        ------
        NewerFormatError
            A newer cbir wrote them.
        CollectionError
            They are damaged.
        """
        stored = described.metadata.get(_KEY)
        if stored is not None:
            found: Metadata | CollectionError | None = _read(collection, stored)
        else:
            found = self._of_reserved([collection]).get(collection) if self._has_reserved() else None
        if isinstance(found, CollectionError):
            raise found
        return found

    def of_all(self, stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Metadata | CollectionError]:
        """Return the metadata of those collections that cbir filled, or why they cannot be read.

        A RefusedError is that of a collection that may be another tool's as well.

        Parameters
        ----------
        stored : Mapping
            What Qdrant stores with each collection.
        """
        ours = {name: metadata[_KEY] for name, metadata in stored.items() if metadata.get(_KEY) is not None}
        others = [name for name in stored if name not in ours]
        known = {name: _read(name, metadata) for name, metadata in ours.items()}
        try:
            with self._server.briefly(_SECONDS):
                return known | self._of_reserved(others) if others and self._has_reserved() else known
        except RefusedError as error:  # one that cannot be read now must not hide the others
            return known | dict.fromkeys(others, error)

    def _of_reserved(self, names: Sequence[str]) -> dict[str, Metadata | CollectionError]:
        """Return what the reserved collection has: the server is older, or was when the metadata were written."""
        ours: dict[str, Any] = {}
        for asked in batched(names, _MOST_IDS):
            ids = {_id(name): name for name in asked}
            points = self._server.call(self._server.reader.records, RESERVED, list(ids))
            ours |= {ids[point.id]: (point.payload or {}).get(_KEY) for point in points}
        return {name: _read(name, metadata) for name, metadata in ours.items() if metadata is not None}

    def write(self, collection: str, metadata: Metadata) -> None:
        """Write or replace the metadata of a collection; all of them or nothing."""
        client, call = self._server.client, self._server.call
        if not self.reserved:
            call(client.update_collection, collection, metadata={_KEY: metadata.to_json()})
            return
        from qdrant_client import models

        if not self._has_reserved():
            try:
                vectors = models.VectorParams(size=1, distance=models.Distance.EUCLID)
                call(client.create_collection, RESERVED, vectors_config=vectors)
            except RefusedError:
                if call(self._server.reader.describe, RESERVED) is None:  # else another process was faster
                    raise
        point = models.PointStruct(
            id=_id(collection), vector=[0.0], payload={"collection": collection, _KEY: metadata.to_json()}
        )
        call(client.upsert, RESERVED, [point], wait=True)
        self._exists = True

    def remove(self, collection: str) -> None:
        """Remove the metadata of a collection that is deleted."""
        client, call = self._server.client, self._server.call
        if self._has_reserved():
            from qdrant_client import models

            selector = models.PointIdsList(points=[_id(collection)])
            call(client.delete, RESERVED, points_selector=selector, wait=True)

    @property
    def reserved(self) -> bool:
        """Whether metadata are written into the reserved collection."""
        if self._reserved is None:
            _ = self._server.reader  # reads the version
            self._reserved = self._server.version < METADATA_SINCE
        return self._reserved

    def _has_reserved(self) -> bool:
        if self._exists is None or (self.reserved and not self._exists):
            self._exists = self._server.call(self._server.reader.describe, RESERVED) is not None
        return self._exists


def _id(collection: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"cbir:card:{collection}"))


def _read(collection: str, stored: Mapping[str, Any]) -> Metadata | CollectionError:
    try:
        return _metadata(collection, stored)
    except CollectionError as error:
        return error


def _metadata(collection: str, stored: Mapping[str, Any]) -> Metadata:
    try:
        return Metadata.from_json(stored, f"collection '{collection}'")
    except ValueError as error:
        raise CollectionError(f"the metadata of collection '{collection}' is damaged ({first_line(error)})") from None
