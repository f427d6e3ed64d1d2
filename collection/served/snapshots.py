"""Qdrant's own snapshots of a served collection, as files here.

In: a collection's name on the server and a file. A snapshot is made by the
server, fetched, compared with the checksum that the server gives, and removed
there again.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from qdrant_client.http.exceptions import UnexpectedResponse

from cbir.collection.interface import CollectionError, Report, silent
from cbir.collection.served.server import RefusedError, Server

_CHUNK = 1 << 20

#: Seconds that a server may take to write or read a snapshot.
_PATIENCE = 3600
_CONNECT = 30


def download(server: Server, collection: str, path: Path, report: Report = silent) -> None:
    """Have a snapshot made and write it to `path`.

    Raises
    ------
    CollectionError
        The collection is spread over several nodes (each has its own snapshot), or
        what arrived is not what the server sent.
    """
    client = server.client
    spread = server.call(client.http.distributed_api.collection_cluster_info, collection).result
    if spread is not None and spread.remote_shards:
        here = {shard.shard_id for shard in spread.local_shards}
        if any(shard.shard_id not in here for shard in spread.remote_shards):
            raise CollectionError(
                f"collection '{collection}' is spread over several nodes of {server.location}, and Qdrant's snapshots "
                "are made node by node; take the collection home with cbir pull, and make the snapshot there"
            )
    place = f"/collections/{quote(collection)}/snapshots"
    with server.http() as http:
        # Made once: a second try would leave the first one's file on the server.
        made = server.once(_make, http, place)
        try:
            checksum = server.call(_fetch, http, f"{place}/{quote(made['name'])}", path, made["size"], report)
        finally:
            with contextlib.suppress(CollectionError):
                server.call(client.delete_snapshot, collection, made["name"])
    if made.get("checksum") not in (None, checksum):
        raise CollectionError(f"the snapshot of '{collection}' arrived damaged; try again")


def upload(server: Server, collection: str, path: Path, report: Report = silent) -> None:
    """Make a collection from a snapshot file.

    Raises
    ------
    CollectionError
        The server refuses it.
    """
    total = path.stat().st_size
    report(0, total)
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        # Once: to a damaged snapshot Qdrant says that itself failed.
        server.once(_send, server, collection, path, checksum)
    except RefusedError as error:
        raise CollectionError(f"{path} cannot be restored ({error}); is it a snapshot of Qdrant's?") from error
    report(total, total)


def _make(http: httpx.Client, place: str) -> dict[str, Any]:
    """Have a snapshot written; return its name, size and checksum."""
    response = http.post(place, timeout=httpx.Timeout(_CONNECT, read=_PATIENCE))
    _check(response)
    return dict(response.json()["result"])


def _fetch(http: httpx.Client, place: str, path: Path, size: int, report: Report) -> str:
    """Stream into a file, which a second try writes anew; return its SHA-256."""
    digest = hashlib.sha256()
    with http.stream("GET", place) as response, path.open("wb") as file:
        _check(response)
        done = 0
        for chunk in response.iter_bytes(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            report(done, size)
    return digest.hexdigest()


def _send(server: Server, collection: str, path: Path, checksum: str) -> None:
    with server.http() as http, path.open("rb") as file:
        response = http.post(
            f"/collections/{quote(collection)}/snapshots/upload",
            params={"priority": "snapshot", "checksum": checksum, "wait": "true"},
            files={"snapshot": (path.name, file, "application/octet-stream")},
            timeout=httpx.Timeout(_CONNECT, read=_PATIENCE),
        )
        _check(response)


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    raise UnexpectedResponse.for_response(response)
