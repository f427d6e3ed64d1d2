"""What Qdrant stores of all collections at once: a server with a hundred of them is asked once, not a hundred times.

In: a server. Out: for each physical collection, the metadata that Qdrant stores with it, ours among them.
"""

from collections.abc import Mapping
from typing import Any

from cbir.collection.served.server import RefusedError, Server
from cbir.core.workers import ordered_map

#: Requests at once, where each collection has to be asked for.
_STREAMS = 8

#: The most seconds to wait for what is told of all collections, or of one: it may be none of those that somebody needs.
_SECONDS = 5.0


def all_metadata(server: Server) -> dict[str, Mapping[str, Any] | RefusedError]:
    """Return what Qdrant stores with each collection; an error in place of those that cannot be read now.

    Qdrant's account of itself has the settings of all collections, since it stores metadata with them. A server that
    does not give it soon, or at all, as behind a gateway, is asked for one collection after the other.
    """
    try:
        return {**server.once(server.reader.telemetry, _SECONDS)}
    except RefusedError:
        names = server.call(server.reader.names)

    def read(name: str) -> Mapping[str, Any] | RefusedError:
        try:
            described = server.once(server.reader.describe, name, _SECONDS)
            return {} if described is None else described.metadata
        except RefusedError as error:
            return error

    return dict(zip(names, ordered_map(read, names, threads=_STREAMS), strict=True))
