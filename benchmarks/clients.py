"""Clients that search one collection of a server at once: through cbir, or by plain requests that ask the same.

Each is a process of its own, which searches one vector after another for some seconds. A plain request is one write
and one read, and what it brings is not looked at: what the server alone takes.
"""

import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.setting import last_json, timed
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server

#: The collection that is searched, and how many hits are asked for.
NAME, HITS = "points", 10
SECONDS = 8.0


@dataclass(frozen=True)
class Searches:
    """What some clients saw: the seconds of each search, all seconds, and those of processors that clients took."""

    times: list[float]
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Searches a second, of all clients."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """Return milliseconds within which so many of a hundred searches were answered."""
        return float(1000 * np.percentile(self.times, share))


def clients(count: int, url: str, queries: Path, *, bare: bool = False, seconds: float = SECONDS) -> Searches:
    """Have clients search at once for some seconds; `queries` is a file of vectors, (n, d) float32."""
    command = ["-m", "benchmarks.clients", "bare" if bare else "cbir", str(count), url, str(queries), str(seconds)]
    return Searches(**last_json(timed(command, OMP_NUM_THREADS="1").output))


def main(how: str, count: int, url: str, queries: Path, seconds: float) -> None:
    """Fork the clients, so that what they import is there once, and print what they saw."""
    made, vectors = {"cbir": through_cbir, "bare": plainly}[how], np.load(queries)
    fork = multiprocessing.get_context("fork")
    ready, seen = fork.Barrier(count), fork.SimpleQueue()
    working = [
        fork.Process(
            target=client, args=(made, url, np.roll(vectors, -n * len(vectors) // count, 0), seconds, ready, seen)
        )
        for n in range(count)
    ]
    for each in working:
        each.start()
    found = [seen.get() for _ in working]
    for each in working:
        each.join()
    times = [took for each, _, _ in found for took in each]
    wall = max(until for _, until, _ in found)
    print(json.dumps({"times": times, "seconds": wall, "cpu": sum(cpu for _, _, cpu in found)}))


def client(
    made: Callable[[str, np.ndarray], Callable[[int], None]],
    url: str,
    vectors: np.ndarray,
    seconds: float,
    ready: Barrier,
    seen: SimpleQueue[tuple[list[float], float, float]],
) -> None:
    search = made(url, vectors)
    search(0)
    ready.wait()
    times: list[float] = []
    begin, before = time.perf_counter(), time.process_time()
    while (start := time.perf_counter()) - begin < seconds:
        search(len(times) % len(vectors))
        times.append(time.perf_counter() - start)
    seen.put((times, time.perf_counter() - begin, time.process_time() - before))


def through_cbir(url: str, vectors: np.ndarray) -> Callable[[int], None]:
    collection = ServedEngine(Server(address(url)), Path()).open(NAME)

    def search(row: int) -> None:
        assert len(collection.search(vectors[row], HITS)) == HITS

    return search


def plainly(url: str, vectors: np.ndarray) -> Callable[[int], None]:
    parts = urlsplit(url)
    head = f"POST /collections/{NAME}/points/query/batch HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    requests = []
    for vector in vectors:
        body = json.dumps({"searches": [{"query": vector.tolist(), "limit": HITS, "with_payload": True}]})
        requests.append(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def search(row: int) -> None:
        with socket.create_connection((parts.hostname, parts.port or 80)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(requests[row])
            answer = b""
            while some := connection.recv(1 << 16):
                answer += some
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]

    return search


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), float(sys.argv[5]))
