"""How often a server is asked: not once for each collection that it holds, nor once for each query."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from qdrant_client import models

import cbir
from cbir.collection import home as home_module
from cbir.collection.errors import CollectionError
from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata
from cbir.collection.served import few
from cbir.collection.served.cards import MetadataStore
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.rest import AnswerError, NoAnswerError, Rest
from cbir.collection.served.server import RefusedError
from cbir.search.query import StoredPoint
from tests.collection.sample import METADATA, fill, ids

SEARCHES = {"plain": {}, "again": {"expand": 3, "rerank": True}, "elsewhere": {"not_itself": True, "sort": "index"}}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests sent by this process, from here on."""
    sent: list[str] = []
    send, ours = httpx.Client.send, Rest.send

    def counted(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        sent.append(f"{request.method} {request.url.path}")
        return send(client, request, **options)

    def counted_too(rest: Rest, method: str, path: str, *rest_of_it: Any) -> Any:
        sent.append(f"{method} {path}")
        return ours(rest, method, path, *rest_of_it)

    monkeypatch.setattr(httpx.Client, "send", counted)
    monkeypatch.setattr(Rest, "send", counted_too)
    return sent


@contextmanager
def at_most(most: int, requests: list[str]) -> Iterator[None]:
    requests.clear()
    yield
    assert len(requests) <= most, requests


def made(engine: ServedEngine, ours: int, theirs: int) -> list[str]:
    for number in range(theirs):
        vectors = models.VectorParams(size=3, distance=models.Distance.COSINE)
        engine.server.client.create_collection(f"theirs{number}", vectors_config=vectors)
    for number in range(ours):
        engine.create(f"ours{number}", METADATA).close()
    return [f"ours{number}" for number in range(ours)]


@pytest.mark.parametrize("reserved", [False, True])
def test_questions_about_collections_cost_the_same_however_many_there_are(
    served: ServedEngine, tmp_path: Path, requests: list[str], reserved: bool
):
    engine = ServedEngine(served.server, tmp_path, store=MetadataStore(served.server, reserved=reserved))
    assert (engine.names(), engine.all_metadata()) == ([], {})
    ours = made(engine, 7, 4)
    with at_most(4, requests):
        assert engine.names() == ours
    with at_most(4, requests):
        assert engine.all_metadata() == dict.fromkeys(ours, METADATA)
    with at_most(4, requests):
        assert home_module.default_collection(engine) in ours
    for name, there in (("ours3", True), ("theirs1", False), ("nothing", False)):
        with at_most(4, requests):
            assert engine.exists(name) == there
    with at_most(12, requests), pytest.raises(CollectionError, match="nothing"):
        engine.open("nothing")


def test_a_server_that_describes_itself_late_is_not_waited_for(served: ServedEngine, monkeypatch: pytest.MonkeyPatch):
    ours = made(served, 2, 0)
    send = Rest.send
    waited: list[float] = []

    def sent(rest: Rest, method: str, path: str, body: object, timeout: float) -> Any:
        if path.startswith("/telemetry"):
            waited.append(timeout)
            raise NoAnswerError from TimeoutError("late")
        return send(rest, method, path, body, timeout)

    monkeypatch.setattr(Rest, "send", sent)
    assert served.names() == ours
    assert waited
    assert max(waited) <= 5


def test_a_server_that_does_not_describe_itself_is_asked_for_each(
    served: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    ours = made(served, 3, 2)
    served.server.client.update_collection("ours1@1", metadata={"cbir": {"format": 99}})
    known = served.all_metadata()
    send = Rest.send
    for wrong in (AnswerError(403, "no", b""), {"result": {}}, {"result": None}, {}):

        def sent(rest: Rest, method: str, path: str, *more: Any, answer: Any = wrong) -> Any:
            if not path.startswith("/telemetry"):
                return send(rest, method, path, *more)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(Rest, "send", sent)
        found = served.all_metadata()
        assert list(found) == list(known) == ours
        assert str(found["ours1"]) == str(known["ours1"])
        assert "newer cbir (format 99" in str(known["ours1"])
        assert found["ours0"] == known["ours2"] == METADATA


def test_a_collection_that_is_replaced_between_two_requests_is_not_missing(
    served: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    made(served, 2, 0)
    aliases = ServedEngine._aliases

    def replaced(engine: ServedEngine) -> dict[str, str]:
        monkeypatch.setattr(ServedEngine, "_aliases", aliases)
        with engine.replacement("ours1", METADATA):
            pass
        return aliases(engine)

    monkeypatch.setattr(ServedEngine, "_aliases", replaced)
    assert served.names() == ["ours0", "ours1"]


def test_metadata_that_cannot_be_read_hide_nothing(served: ServedEngine):
    made(served, 3, 0)
    served.server.client.update_collection("ours1@1", metadata={"cbir": 7})
    found = served.all_metadata()
    assert isinstance(found.pop("ours1"), CollectionError)
    assert all(isinstance(metadata, Metadata) for metadata in found.values())
    assert home_module.default_collection(served) in found


def test_a_collection_that_cannot_be_asked_for_now_hides_no_other(
    served: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    made(served, 3, 1)
    client = served.server.client
    alias = models.CreateAlias(collection_name="theirs0", alias_name="shown")
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    send = Rest.send

    def refused(rest: Rest, method: str, path: str, *more: Any) -> Any:
        if path in ("/collections/ours1%401", "/collections/theirs0"):
            raise AnswerError(500, "no", b'{"status": {"error": "no"}}')
        return {} if path.startswith("/telemetry") else send(rest, method, path, *more)

    monkeypatch.setattr(Rest, "send", refused)
    found = served.all_metadata()
    assert isinstance(found.pop("ours1"), RefusedError)
    assert found == dict.fromkeys(["ours0", "ours2"], METADATA)


def test_searches_that_have_filters_of_their_own_are_one_request(served: ServedEngine, requests: list[str]):
    with closing(served.create("c", METADATA)) as collection:
        vectors = np.random.default_rng(0).random((64, 4), np.float32)
        fill(collection, vectors, list(range(64)))
        with at_most(1, requests):
            found = collection.search_batch(vectors, 3, each=[{"label": [number]} for number in range(64)])
        assert [[hit.label for hit in hits] for hits in found] == [[number] for number in range(64)]


@pytest.mark.parametrize("how", SEARCHES)
def test_many_queries_are_as_many_requests_as_one(
    qdrant: str, served: ServedEngine, bundle: Path, home: Path, requests: list[str], how: str
):
    cbir.ingest("digits", model=bundle, qdrant_url=qdrant)
    with cbir.open(qdrant_url=qdrant) as searcher, closing(searcher.collection):
        ids = [hit.id for hit in searcher.search("digits:queries/0", 32)]
        queries = [*(f"digits:queries/{number}" for number in range(32)), *map(StoredPoint, ids)]
        with at_most(8, requests):
            found = searcher.search_many(queries, 5, **SEARCHES[how])
        assert len(found) == 64
        few = len(requests)
        with at_most(few, requests):
            assert searcher.search_many(queries[30:34], 5, **SEARCHES[how]) == found[30:34]


def test_a_filter_is_counted_only_where_more_is_indexed_than_is_compared(
    served: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    vectors = np.random.default_rng(0).random((4_000, 4), np.float32)
    payloads = [{"uri": f"u{row}", "camera": "rare" if row % 50 == 0 else "common"} for row in range(len(vectors))]
    with closing(served.create("c", METADATA)) as collection:
        collection.upsert(ids(len(vectors)), vectors, payloads)
        collection.build_index(small=True)
    assert served.info("c").indexed > 1_000
    rare, common = ({"camera": [name]} for name in ("rare", "common"))
    sent: list[tuple[str, Any]] = []
    send = Rest.send

    def seen(rest: Rest, method: str, path: str, body: Any, timeout: float) -> Any:
        sent.append((path, body))
        return send(rest, method, path, body, timeout)

    monkeypatch.setattr(Rest, "send", seen)

    def asked(collection: Collection, rows: int, **options: Any) -> tuple[int, list[bool]]:
        """Search; return how many requests there were, and which queries were to be compared with all that pass."""
        sent.clear()
        collection.search_batch(vectors[:rows], 5, **options)
        return len(sent), [each["params"]["exact"] for each in sent[-1][1]["searches"]]

    with closing(served.open("c")) as small:
        assert asked(small, 2) == (1, [False, False])
        assert asked(small, 2, where=rare) == (1, [True, True])
        assert asked(small, 2, where=common) == (1, [True, True])
    monkeypatch.setattr(few, "COMPARED", 4 * 1_000)
    with closing(served.open("c")) as large:
        assert asked(large, 2) == (1, [False, False])
        assert asked(large, 2, where=rare) == (2, [True, True])
        assert asked(large, 2, where=common) == (2, [False, False])
        assert asked(large, 2, where=common, exact=True) == (1, [True, True])
        assert asked(large, 6, each=[rare, common, {}] * 2) == (3, [True, False, False] * 2)
        monkeypatch.setattr(few, "_KNOWN", 0)
        assert asked(large, 1, where=rare) == (2, [True])
        large._few.forget()
        assert asked(large, 1, where=rare) == (3, [True]), "it may have grown"
