"""A real Qdrant server for the tests: one that is there, or one that they start and stop."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest
from qdrant_client import QdrantClient, models

from cbir.collection.served.address import address
from cbir.collection.served.faults import Fault
from cbir.collection.served.rest import AnswerError
from cbir.collection.served.server import RefusedError, Server

T = TypeVar("T")

#: Read before the tests take the user's settings out of the environment.
GIVEN_URL = os.environ.get("QDRANT_URL")
GIVEN_KEY = os.environ.get("QDRANT_API_KEY")
BINARY = shutil.which("qdrant")

NO_SERVER = "no Qdrant server: name an empty one with QDRANT_URL, or put a `qdrant` executable on PATH"
NO_BINARY = "no Qdrant server to kill: put a `qdrant` executable on PATH"

#: Skips a test before its fixtures, some of which train, where the fixture `own_qdrant` alone would skip it too late.
needs_binary = pytest.mark.skipif(BINARY is None, reason=NO_BINARY)


class QdrantProcess:
    """A server of the tests' own, on free ports of this machine, with its storage in `folder`."""

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", arguments: Sequence[str] = (), **settings: str
    ) -> None:
        self.folder = folder
        self.host = host
        self.port, self.grpc_port = free_ports()
        self.peer_port = settings.get("CLUSTER__P2P__PORT")
        self._arguments = arguments
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        scheme = "https" if "SERVICE__ENABLE_TLS" in self._settings else "http"
        return f"{scheme}://{self.host}:{self.port}"

    def start(self, *, wait: bool = True) -> "QdrantProcess":
        """Start it, and wait until it is ready."""
        assert BINARY is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "SERVICE__HOST": self.host,
            "SERVICE__HTTP_PORT": str(self.port),
            "SERVICE__GRPC_PORT": str(self.grpc_port),
            "STORAGE__STORAGE_PATH": str(self.folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(self.folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            "LOG_LEVEL": "WARN",
            **self._settings,
        }
        with (self.folder / "qdrant.log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, *self._arguments],
                cwd=self.folder,
                env={**os.environ, **{f"QDRANT__{name}": value for name, value in settings.items()}},
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait()
        return self

    def wait(self, seconds: float = 60) -> None:
        """Wait until it is ready; one that was away from a cluster, until it has caught up."""
        deadline = time.monotonic() + seconds
        while True:
            assert self._process is not None
            try:
                if self.url.startswith("https"):
                    socket.create_connection((self.host, self.port), timeout=5).close()
                else:
                    urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "qdrant.log").read_text()) from None
                time.sleep(0.05)

    def memory(self, kind: str = "RssAnon") -> int:
        """Return the bytes of memory that are its own, not the pages of files that the system may drop; VmRSS: both."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind)))

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def disk(self) -> int:
        """Return the bytes on disk of its collections."""
        files = (self.folder / "storage" / "collections").rglob("*")
        return sum(path.stat().st_blocks * 512 for path in files if path.is_file())

    def told(self, path: str) -> Any:
        """Return what it answers to a question, as JSON values."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=5) as answer:
            return json.load(answer)["result"]

    def peers(self) -> int:
        """Count the nodes of its cluster that it knows."""
        return len(self.told("cluster")["peers"])

    def wait_for_replicas(self, collection: str, count: int, seconds: float = 30) -> None:
        """Wait until it sees so many replicas of a collection's shards, all of which have caught up."""
        deadline = time.monotonic() + seconds
        while True:
            told = self.told(f"collections/{collection}/cluster")
            states = [shard["state"] for shard in told["local_shards"] + told["remote_shards"]]
            if states == ["Active"] * count and not told["shard_transfers"]:
                return
            assert time.monotonic() < deadline, told
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Keep it from answering; killing it still works."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it as its operator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None


def cluster(folder: Path, nodes: int = 3) -> list[QdrantProcess]:
    """Start the nodes of a cluster on this machine, and wait until each knows all of them."""
    made: list[QdrantProcess] = []
    first = ""
    try:
        for number in range(nodes):
            peers, _ = free_ports()
            uri = f"http://127.0.0.1:{peers}"
            arguments = ["--uri", uri, *(["--bootstrap", first] if first else [])]
            settings = {"CLUSTER__ENABLED": "true", "CLUSTER__P2P__PORT": str(peers)}
            made.append(QdrantProcess(folder / f"node-{number}", arguments=arguments, **settings).start())
            first = first or uri
        deadline = time.monotonic() + 30
        while not all(node.peers() == nodes for node in made):
            assert time.monotonic() < deadline, "the nodes do not find each other"
            time.sleep(0.05)
    except BaseException:
        for node in made:
            node.kill()
        raise
    return made


class MemoryServer(Server):
    """qdrant-client's own Qdrant in memory: the adapter without a server, each of whose requests it has to read."""

    def __init__(self) -> None:
        super().__init__(address("http://localhost"))
        self._one_at_a_time = threading.Lock()

    def _new_client(self) -> QdrantClient:
        return QdrantClient(":memory:")

    def _send(self, method: str, path: str, body: Any, timeout: float | None = None) -> Any:
        if path == "/":
            return {"version": "1.18.3"}
        try:
            return {"result": _answered(self.client, method, unquote(path).removeprefix("/"), body)}
        except ValueError as error:
            if "not found" not in str(error):
                raise
            raise AnswerError(404, "Not Found", json.dumps({"status": {"error": str(error)}}).encode()) from error

    def _offers_grpc(self) -> bool:
        return False

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Refuse what does not exist as a server does; one call at a time, as the one in memory knows no threads."""
        try:
            with self._one_at_a_time:
                return super().call(function, *args, **kwargs)
        except ValueError as error:
            if "not found" not in str(error):
                raise
            raise RefusedError(Fault(str(error), False, 404)) from error

    def close(self) -> None:
        """Keep what is in memory."""


def _answered(client: QdrantClient, method: str, path: str, body: Any) -> Any:
    """Return what a server answers to a request, by qdrant-client's own types of requests and answers."""
    match path.split("/"):
        case ["telemetry?details_level=2"]:
            raise AnswerError(404, "Not Found", b"")
        case ["aliases"]:
            return client.get_aliases().model_dump(mode="json")
        case ["collections"]:
            return client.get_collections().model_dump(mode="json")
        case ["collections", name]:
            return client.get_collection(name).model_dump(mode="json")
        case ["collections", _, "cluster"]:
            return {"peer_id": 0, "local_shards": [], "remote_shards": []}
        case ["collections", name, "points"]:
            request = models.PointRequest.model_validate(body)
            records = client.retrieve(name, request.ids, request.with_payload, request.with_vector or False)
            return [record.model_dump(mode="json") for record in records]
        case ["collections", name, "points", "query", "batch"]:
            batch = models.QueryRequestBatch.model_validate(body)
            return [found.model_dump(mode="json") for found in client.query_batch_points(name, batch.searches)]
        case ["collections", name, "points", "scroll"]:
            page = models.ScrollRequest.model_validate(body)
            records, offset = client.scroll(
                name,
                page.filter,
                limit=page.limit or 10,
                offset=page.offset,
                with_payload=page.with_payload or False,
                with_vectors=page.with_vector or False,
            )
            return {"points": [record.model_dump(mode="json") for record in records], "next_page_offset": offset}
        case ["collections", name, "points", "count"]:
            count = models.CountRequest.model_validate(body)
            return client.count(name, count.filter, exact=bool(count.exact)).model_dump(mode="json")
        case ["collections", name, "facet"]:
            facet = models.FacetRequest.model_validate(body)
            found = client.facet(name, facet.key, facet.filter, facet.limit or 10, exact=bool(facet.exact))
            return found.model_dump(mode="json")
    raise AssertionError((method, path))


def free_ports() -> tuple[int, int]:
    """Return two free ports next to each other."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port, port + 1
    raise AssertionError("no two free ports next to each other")
