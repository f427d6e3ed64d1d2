"""Qdrant's own snapshots of a served collection, as files here.

In: a collection's name on the server and a file. The server makes the snapshot;
it is downloaded, compared with the server's checksum, and deleted there.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from qdrant_client.http.exceptions import UnexpectedResponse

from cbir.collection.errors import CollectionError
from cbir.collection.served.server import RefusedError, Server
from cbir.core.progress import Progress, silent

_CHUNK_BYTES = 1 << 20

#: Seconds that a server may take to write or read a snapshot.
_SNAPSHOT_TIMEOUT = 3600
_CONNECT_TIMEOUT = 30


def download(server: Server, collection: str, path: Path, progress: Progress = silent) -> None:
    """Have the server make a snapshot, and write it to `path`; stage `snapshot`, in bytes.

    Raises
    ------
    CollectionError
        The collection is distributed over several nodes (each has its own snapshot), or
        what arrived is not what the server sent.
    """
    client = server.client
    cluster = server.call(client.http.distributed_api.collection_cluster_info, collection).result
    if cluster is not None and cluster.remote_shards:
        local = {shard.shard_id for shard in cluster.local_shards}
        if any(shard.shard_id not in local for shard in cluster.remote_shards):
            raise CollectionError(
                f"collection '{collection}' is distributed over several nodes of {server.location}, and Qdrant makes "
                "snapshots node by node; copy the collection to this machine with cbir pull, and make the snapshot here"
            )
    url = f"/collections/{quote(collection)}/snapshots"
    with server.http() as http:
        # No retry: it would leave the first snapshot's file on the server.
        made = server.once(_make, http, url)
        try:
            checksum = server.call(_fetch, http, f"{url}/{quote(made['name'])}", path, made["size"], progress)
        finally:
            with contextlib.suppress(CollectionError):
                server.call(client.delete_snapshot, collection, made["name"])
    if made.get("checksum") not in (None, checksum):
        raise CollectionError(f"the snapshot of '{collection}' was damaged on its way; run the same command again")


def upload(server: Server, collection: str, path: Path, progress: Progress = silent) -> None:
    """Make a collection from a snapshot file; stage `restore`, in bytes.

    Raises
    ------
    CollectionError
        The server refuses it.
    """
    total = path.stat().st_size
    progress("restore", 0, total)
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        # No retry: Qdrant answers a damaged snapshot as if the server had failed, which would be retried.
        server.once(_send, server, collection, path, checksum)
    except RefusedError as error:
        raise CollectionError(f"{path} cannot be restored ({error}); is it a snapshot that Qdrant made?") from error
    progress("restore", total, total)


def _make(http: httpx.Client, url: str) -> dict[str, Any]:
    """Have the server write a snapshot; return its name, size and checksum."""
    response = http.post(url, timeout=httpx.Timeout(_CONNECT_TIMEOUT, read=_SNAPSHOT_TIMEOUT))
    _check(response)
    return dict(response.json()["result"])


def _fetch(http: httpx.Client, url: str, path: Path, size: int, progress: Progress) -> str:
    """Stream into a file, which a retry overwrites; return its SHA-256."""
    digest = hashlib.sha256()
    with http.stream("GET", url) as response, path.open("wb") as file:
        _check(response)
        done = 0
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress("snapshot", done, size)
    return digest.hexdigest()


def _send(server: Server, collection: str, path: Path, checksum: str) -> None:
    with server.http() as http, path.open("rb") as file:
        response = http.post(
            f"/collections/{quote(collection)}/snapshots/upload",
            params={"priority": "snapshot", "checksum": checksum, "wait": "true"},
            files={"snapshot": (path.name, file, "application/octet-stream")},
            timeout=httpx.Timeout(_CONNECT_TIMEOUT, read=_SNAPSHOT_TIMEOUT),
        )
        _check(response)


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    raise UnexpectedResponse.for_response(response)
