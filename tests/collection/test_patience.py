"""How long a server is waited for that is away or answers late, and who is told what of it."""

import socket
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.models import CreateAlias, CreateAliasOperation, Distance, VectorParams

import cbir
from cbir.collection import home as home_module
from cbir.collection.errors import CollectionError
from cbir.collection.served import cards, late
from cbir.collection.served.address import address
from cbir.collection.served.cards import MetadataStore
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.rest import AnswerError
from cbir.collection.served.server import RefusedError, Server
from tests.collection.sample import METADATA
from tests.collection.test_server import GREETING, answering

#: What is asked of a server, and how long it may take, as far as that is known.
WAITED: dict[str, tuple[Callable[[Server], Any], str]] = {
    "as long as any": (lambda server: server.call(server._reader.names), ", up to 1 s"),
    "briefly": (lambda server: server.once(server._reader.telemetry, 0.4), ", up to 0 s"),
    "by somebody else": (lambda server: server.once(_by_httpx, server), ""),
}


def _by_httpx(server: Server) -> None:
    """Ask with a patience of its own, as for a snapshot."""
    with server.http() as http:
        http.get("/", timeout=0.5)


@pytest.mark.parametrize("asked", WAITED)
def test_who_waits_for_an_answer_is_told_so_once(asked: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(late, "SAY_AFTER", 0.1)
    ask, most = WAITED[asked]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            closing(Server(address(url), retry_for=0, timeout=1)) as server,
            warnings.catch_warnings(record=True) as said,
        ):
            warnings.simplefilter("always")
            for _ in range(2):
                with pytest.raises(RefusedError, match="did not answer in time"):
                    ask(server)
    assert [str(each.message) for each in said] == [f"waiting for Qdrant at {url}, which has not answered yet{most}"]


@pytest.mark.usefixtures("home")
def test_a_collection_that_cannot_be_found_is_asked_for_briefly(monkeypatch: pytest.MonkeyPatch):
    """As where the node that has it is away: 60 s, before."""
    monkeypatch.setattr(home_module, "PATIENCE_OF_ASKING", 0.3)
    start = time.monotonic()
    with (
        answering((200, GREETING), (503, "")) as url,
        pytest.raises(CollectionError, match="gave up after 0 s"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ServerWarning)
        cbir.open(qdrant_url=url)
    assert time.monotonic() - start < 10


def test_metadata_of_an_older_server_that_are_on_a_dead_node_keep_nobody_waiting(
    served: ServedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cards, "_SECONDS", 0.3)
    served.create("well", METADATA).close()
    older = ServedEngine(served.server, tmp_path, store=MetadataStore(served.server, reserved=True))
    older.create("c", METADATA).close()
    client = served.server.client
    client.create_collection("another tool's", vectors_config=VectorParams(size=2, distance=Distance.COSINE))
    theirs = CreateAlias(collection_name="another tool's", alias_name="theirs")
    client.update_collection_aliases([CreateAliasOperation(create_alias=theirs)])

    def away(*_: object) -> None:
        raise AnswerError(500, "Internal Server Error", b'{"status": {"error": "the node is away"}}')

    monkeypatch.setattr(served.server.reader, "records", away)
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ServerWarning)
        found = older.all_metadata()
        assert isinstance(found["c"], RefusedError)
        assert not isinstance(found["well"], CollectionError)
        assert sorted(found) == ["c", "well"], "what may be another tool's is not told as ours"
        with served.server.briefly(0.3), pytest.raises(RefusedError, match="the node is away"):
            older.metadata("c")  # nobody waits for the others with it: as patient as any call
    assert time.monotonic() - start < 10
    assert served.server.retry_for > 1, "later calls are as patient as ever"


@pytest.mark.parametrize("kind", [AssertionError, RecursionError])
def test_what_is_wrong_with_us_is_not_told_as_a_fault_of_the_servers(kind: type[Exception], served: ServedEngine):
    """qdrant-client raises these of answers that it does not understand."""

    def wrong() -> None:
        raise kind("ours")

    _ = served.server.client
    with pytest.raises(kind, match="ours"):
        served.server.once(wrong)
    with pytest.raises(kind, match="ours"):  # called by the client, as where it goes through points that we make
        served.server.once(served.server.client.upload_points, "c", (wrong() for _ in range(1)))
