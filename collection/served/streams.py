"""Sending points to a server, in batches over a few parallel streams: by gRPC where the server offers it, else by REST.

In: points. Out: they are stored and can be searched. Qdrant recommends batches of
64 to 256 over 2 to 4 streams.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import payload_to_grpc

from cbir.collection.point import Payload
from cbir.collection.served.server import Server

if TYPE_CHECKING:
    from qdrant_client.grpc import PointsStub

BATCH = 128
STREAMS = 4

#: Values in a batch, for very long vectors: Qdrant takes 32 MB of JSON, some 20 bytes a value.
_VALUES = 1_000_000


def upsert(
    server: Server,
    collection: str,
    ids: Sequence[str],
    vectors: np.ndarray,
    payloads: Sequence[Payload],
    *,
    sharded: bool = False,
) -> None:
    """Insert or replace points.

    Parameters
    ----------
    server : Server
    collection : str
    ids : sequence of str
    vectors : ndarray of float32, shape (n, d)
    payloads : sequence of dict
    sharded : bool
        The collection has more than one shard, and each applies points in its own order.

    Raises
    ------
    RefusedError
        The server refused, or did not answer in time. Some of the points may be stored;
        sending all of them again is safe.
    """
    if not len(ids):
        return
    stub = server.grpc_points()
    send = _by_rest(server, collection) if stub is None else _by_grpc(server, collection, stub, vectors.shape[1])

    size = max(1, min(BATCH, _VALUES // vectors.shape[1]))

    def part(start: int, applied: bool) -> None:
        stop = start + size
        send(ids[start:stop], vectors[start:stop], payloads[start:stop], applied)

    *first, last = range(0, len(ids), size)
    if first:
        with ThreadPoolExecutor(STREAMS, thread_name_prefix="cbir-upsert") as pool:
            sent = [pool.submit(part, start, sharded) for start in first]
            try:
                done = wait(sent, return_when=FIRST_EXCEPTION).done
            except KeyboardInterrupt:
                server.interrupt()
                pool.shutdown(cancel_futures=True)
                raise
            for future in sent:
                future.cancel()
            for future in done:
                future.result()
    # With one shard, each answer so far meant "in the write-ahead log"; this one means "applied, like all before it".
    part(last, True)


def overwrite_payloads(
    server: Server, collection: str, payloads: Sequence[tuple[str, Payload]], *, sharded: bool = False
) -> None:
    """Replace the payloads of stored points; their vectors stay.

    Takes 0.6 ms a point. Reading the vectors and sending them again would take 0.2 ms, but could bring back
    a point that another process deletes meanwhile.

    Parameters
    ----------
    server : Server
    collection : str
    payloads : sequence of (id, dict)
    sharded : bool
        As for `upsert`.

    Raises
    ------
    RefusedError
        As `upsert`; sending all of them again is safe.
    """
    for start in range(0, len(payloads), BATCH):
        # One request, in which each point is an operation of its own.
        operations: list[models.UpdateOperation] = [
            models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload=payload, points=[identity]))
            for identity, payload in payloads[start : start + BATCH]
        ]
        # As for `upsert`, with one shard the last answer is enough.
        last = start + BATCH >= len(payloads)
        server.call(server.client.batch_update_points, collection, operations, wait=sharded or last)


_Send = Callable[[Sequence[str], np.ndarray, Sequence[Payload], bool], None]


def _by_grpc(server: Server, collection: str, stub: "PointsStub", dimension: int) -> _Send:
    # A vector's message is this head followed by its floats: some ten times faster than float by float.
    head = grpc.DenseVector(data=[0.0] * dimension).SerializeToString()[: -4 * dimension]

    def send(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload], applied: bool) -> None:
        points = [
            grpc.PointStruct(
                id=grpc.PointId(uuid=identity),
                vectors=grpc.Vectors(vector=grpc.Vector(dense=grpc.DenseVector.FromString(head + row.tobytes()))),
                payload=payload_to_grpc(payload),
            )
            for identity, row, payload in zip(ids, vectors.astype("<f4", copy=False), payloads, strict=True)
        ]
        request = grpc.UpsertPoints(collection_name=collection, points=points, wait=applied)
        server.call(stub.Upsert, request, timeout=server.timeout)

    return send


def _by_rest(server: Server, collection: str) -> _Send:
    def send(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload], applied: bool) -> None:
        batch = models.Batch(ids=list(ids), vectors=vectors.tolist(), payloads=list(payloads))
        server.call(server.client.upsert, collection, batch, wait=applied)

    return send
