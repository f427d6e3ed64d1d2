"""Points go to a server in batches, over a few streams at a time: by gRPC where it is offered, else by REST.

In: points. Out: they are stored and can be searched. Qdrant advises batches of
64 to 256 over 2 to 4 streams.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import payload_to_grpc

from collection.interface import Payload
from collection.server import Server

if TYPE_CHECKING:
    from qdrant_client.grpc import PointsStub

BATCH = 128
STREAMS = 4


def upsert(
    server: Server, collection: str, ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]
) -> None:
    """Insert or replace points.

    Parameters
    ----------
    server : Server
    collection : str
    ids : sequence of str
    vectors : ndarray of float32, shape (n, d)
    payloads : sequence of dict

    Raises
    ------
    RefusedError
        The server refused, or did not answer in time. Some of the points may be stored;
        storing all of them again is safe.
    """
    stub = server.grpc_points()
    send = _by_rest(server, collection) if stub is None else _by_grpc(server, collection, stub)
    slices = [slice(start, start + BATCH) for start in range(0, len(ids), BATCH)]
    if len(slices) <= 1:
        for part in slices:
            send(ids[part], vectors[part], payloads[part])
        return
    with ThreadPoolExecutor(STREAMS, thread_name_prefix="cbir-upsert") as pool:
        sent = [pool.submit(send, ids[part], vectors[part], payloads[part]) for part in slices]
        try:
            done, _ = wait(sent, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            server.stop_waiting()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for future in sent:
            future.cancel()
        for future in done:
            future.result()


_Send = Callable[[Sequence[str], np.ndarray, Sequence[Payload]], None]


def _by_grpc(server: Server, collection: str, stub: "PointsStub") -> _Send:
    def send(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        points = [
            grpc.PointStruct(
                id=grpc.PointId(uuid=i),
                vectors=grpc.Vectors(vector=grpc.Vector(dense=grpc.DenseVector(data=v))),
                payload=payload_to_grpc(p),
            )
            for i, v, p in zip(ids, vectors.tolist(), payloads, strict=True)
        ]
        request = grpc.UpsertPoints(collection_name=collection, points=points, wait=True)
        server.call(stub.Upsert, request, timeout=server.timeout)

    return send


def _by_rest(server: Server, collection: str) -> _Send:
    def send(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> None:
        batch = models.Batch(ids=list(ids), vectors=vectors.tolist(), payloads=list(payloads))
        server.call(server.client.upsert, collection, batch, wait=True)

    return send
