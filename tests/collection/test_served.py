"""What is particular to a server: aliases, other tools' collections, options, indexing, snapshots."""

import hashlib
import json
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from cbir.collection.errors import CollectionBusyError, CollectionError, NewerFormatError
from cbir.collection.layout import Layout
from cbir.collection.metadata import Metadata
from cbir.collection.point import unsigned
from cbir.collection.served import snapshots
from cbir.collection.served.cards import RESERVED, MetadataStore
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.points import INDEXING_THRESHOLD
from cbir.collection.served.server import RefusedError, Server
from cbir.collection.served.snapshots import download
from tests.collection.sample import METADATA, fill
from tests.qdrant import GIVEN_KEY

WIDE = replace(METADATA, dimension=128)


@pytest.fixture
def client(served: ServedEngine) -> QdrantClient:
    return served.server.client


def made(client: QdrantClient, name: str, size: int, distance: models.Distance) -> None:
    client.create_collection(name, vectors_config=models.VectorParams(size=size, distance=distance))


def test_another_tool_finds_it_under_its_name(served: ServedEngine, client: QdrantClient):
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.array([[0, 0, 0, 0], [3, 4, 0, 0]], np.float32), [7, 8])
    assert client.collection_exists("c")
    described = client.get_collection("c")
    assert described.config.params.vectors == models.VectorParams(size=4, distance=models.Distance.EUCLID)
    assert Metadata.from_json((described.config.metadata or {})["cbir"]) == METADATA
    assert {field: index.data_type for field, index in described.payload_schema.items()} == {
        "label": models.PayloadSchemaType.INTEGER,
        "uri": models.PayloadSchemaType.KEYWORD,
        "source": models.PayloadSchemaType.KEYWORD,
    }
    found = client.query_points("c", query=[3.0, 4.0, 0.0, 0.0], limit=1, with_payload=True).points
    assert (found[0].score, unsigned(found[0].payload)) == (0, {"uri": "u1", "label": 8})


def test_other_tools_collections_are_neither_listed_nor_touched(served: ServedEngine, client: QdrantClient):
    made(client, "theirs", 64, models.Distance.COSINE)
    assert served.names() == []
    for use in (
        lambda: served.create("theirs", METADATA),
        lambda: served.open("theirs"),
        lambda: served.metadata("theirs"),
        lambda: served.replacement("theirs", METADATA).__enter__(),
    ):
        with pytest.raises(CollectionError, match=r"not filled by cbir .*64 values by Cosine .*--collection"):
            use()
    assert [c.name for c in client.get_collections().collections] == ["theirs"]


@pytest.mark.parametrize(
    ("size", "distance", "holds"),
    [(64, models.Distance.EUCLID, "64 values by Euclid"), (4, models.Distance.DOT, "4 values by Dot")],
)
def test_another_dimension_or_distance_is_refused(
    served: ServedEngine, client: QdrantClient, size: int, distance: models.Distance, holds: str
):
    made(client, "c", size, distance)
    MetadataStore(served.server).write("c", METADATA)
    with pytest.raises(CollectionError, match=rf"'c' .* holds vectors of {holds} distance, .*4 values by Euclidean"):
        served.open("c")


def test_a_collection_with_damaged_metadata_is_refused_and_can_be_replaced(served: ServedEngine, client: QdrantClient):
    served.create("c", METADATA).close()
    client.update_collection("c@1", metadata={"cbir": {"fingerprint": 7}})
    assert served.names() == ["c"]
    with pytest.raises(CollectionError, match="metadata of collection 'c@1' is damaged"):
        served.open("c")
    with served.replacement("c", METADATA):
        pass
    assert served.metadata("c") == METADATA


def test_a_collection_that_qdrant_restored_without_an_alias_is_ours_too(served: ServedEngine, client: QdrantClient):
    made(client, "plain", 4, models.Distance.EUCLID)
    MetadataStore(served.server).write("plain", METADATA)
    assert served.names() == ["plain"]
    assert served.exists("plain")
    with closing(served.open("plain")) as collection:
        fill(collection, np.ones((2, 4), np.float32))
    with served.replacement("plain", METADATA) as new:
        fill(new, np.ones((3, 4), np.float32))
    with closing(served.open("plain")) as collection:
        assert collection.count() == 3
    served.delete("plain")
    assert served.names() == []
    assert not served.exists("plain")


def test_a_name_can_be_searched_while_it_is_replaced(served: ServedEngine, client: QdrantClient):
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
    stop = threading.Event()
    counts: set[int] = set()

    def ask() -> None:
        while not stop.is_set():
            counts.add(client.count("c").count)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(4, 9):
            with served.replacement("c", METADATA) as new:
                fill(new, np.ones((number, 4), np.float32))
    finally:
        stop.set()
        asking.join()
    assert counts <= set(range(3, 9))


def test_an_open_collection_that_is_replaced_is_an_error(served: ServedEngine):
    with closing(served.create("c", METADATA)) as before:
        fill(before, np.ones((3, 4), np.float32))
        with served.replacement("c", replace(METADATA, fingerprint="new")):
            pass
        for use in (lambda: before.search(np.ones(4), 1), lambda: fill(before, np.ones((3, 4), np.float32))):
            with pytest.raises(CollectionError, match=r"'c' .* was replaced or deleted meanwhile; run the same"):
                use()


def test_a_physical_collection_without_an_alias_is_left_alone_with_a_warning(
    served: ServedEngine, client: QdrantClient
):
    made(client, "photos@7", 3, models.Distance.COSINE)
    message = "^'photos@7' at .* has no alias: .* delete 'photos@7' with Qdrant's own interface$"
    with pytest.warns(ServerWarning, match=message):
        served.create("photos", METADATA).close()
    assert {c.name for c in client.get_collections().collections} == {"photos@7", "photos@8"}
    made(client, "theirs", 3, models.Distance.COSINE)
    made(client, "theirs@home", 3, models.Distance.COSINE)
    assert served.unnamed() == ["photos@7"]


def test_a_physical_collection_with_a_second_alias_is_not_deleted(served: ServedEngine, client: QdrantClient):
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
    alias = models.CreateAlias(collection_name="c@1", alias_name="prod")
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    assert served.names() == ["c", "prod"]
    served.create("d", METADATA).close()
    assert [served.other_names(name) for name in ("c", "prod", "d")] == [["prod"], ["c"], []]
    served.delete("d")
    with served.replacement("prod", METADATA):
        pass
    assert (client.count("c").count, client.count("prod").count) == (3, 0)
    served.delete("prod")
    assert served.names() == ["c"]


def test_an_interrupt_after_the_switch_loses_neither(
    served: ServedEngine, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
):
    served.create("c", METADATA).close()
    switch = client.update_collection_aliases

    def switched(*arguments: Any, **named: Any) -> None:
        switch(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "update_collection_aliases", switched)
    with pytest.raises(KeyboardInterrupt), served.replacement("c", METADATA) as new:
        fill(new, np.ones((3, 4), np.float32))
    with closing(served.open("c")) as collection:
        assert collection.count() == 3


def test_two_replacements_at_once_leave_the_last(served: ServedEngine, client: QdrantClient, tmp_path: Path):
    served.create("c", METADATA).close()
    other = ServedEngine(served.server, tmp_path / "another machine")
    with served.replacement("c", METADATA) as slow:
        fill(slow, np.ones((3, 4), np.float32))
        with pytest.warns(ServerWarning, match="another process is filling it"), other.replacement("c", METADATA):
            pass
    with closing(served.open("c")) as collection:
        assert collection.count() == 3
    assert [c.name for c in client.get_collections().collections] == ["c@2"]


def test_two_that_make_the_same_collection_do_not_share_it(
    served: ServedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = ServedEngine(served.server, tmp_path / "another machine")
    monkeypatch.setattr(other, "_next", lambda name: f"{name}@1")
    monkeypatch.setattr(other, "_free", lambda name: name)
    served.create("c", METADATA).close()
    with pytest.raises(CollectionBusyError, match="another process is making collection 'c'"):
        other.create("c", replace(METADATA, fingerprint="other"))
    assert served.metadata("c") == METADATA


def test_a_collection_that_was_made_though_the_answer_was_lost_is_ours(
    served: ServedEngine, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
):
    create, answers = client.create_collection, iter([True])

    def lost(*arguments: Any, **named: Any) -> None:
        create(*arguments, **named)
        if next(answers, False):
            raise ResponseHandlingException(httpx.ReadTimeout("lost"))

    monkeypatch.setattr(client, "create_collection", lost)
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
    assert [c.name for c in client.get_collections().collections] == ["c@1"]


@pytest.mark.parametrize(
    ("status", "reason", "raised"),
    [
        (409, "conflict", CollectionBusyError),
        (400, "Wrong input: Collection `c@1` already exists!", CollectionBusyError),
        (400, "Wrong input: no", RefusedError),
    ],
)
def test_what_a_server_says_of_a_collection_that_is_there(
    served: ServedEngine, client: QdrantClient, monkeypatch: pytest.MonkeyPatch, status: int, reason: str, raised: type
):
    def refused(*_: Any, **__: Any) -> None:
        content = json.dumps({"status": {"error": reason}}).encode()
        raise UnexpectedResponse(status, reason, content, httpx.Headers())

    monkeypatch.setattr(client, "create_collection", refused)
    with pytest.raises(CollectionError) as error:
        served.create("c", METADATA)
    assert type(error.value) is raised


def test_a_server_that_was_upgraded_still_knows_its_collections(served: ServedEngine, tmp_path: Path):
    older = ServedEngine(served.server, tmp_path, store=MetadataStore(served.server, reserved=True))
    older.create("c", METADATA).close()
    assert served.names() == ["c"]
    with closing(served.open("c")) as collection:
        collection.remember(replace(METADATA, sources=("t",)))
    assert served.metadata("c").sources == ("t",)
    with pytest.raises(CollectionError, match=r"before 1\.16.* cbir pull"):
        older.snapshot("c", tmp_path / "c.snapshot")


def test_every_shard_has_its_points_when_an_upsert_returns(served: ServedEngine, tmp_path: Path):
    engine = ServedEngine(served.server, tmp_path, layout=Layout(shards=4))
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.random.default_rng(0).random((12_801, 4), np.float32))
        assert collection.count() == 12_801


def test_large_batches_of_queries_are_sent_in_parts(served: ServedEngine):
    wide = replace(METADATA, dimension=8192)
    vectors = np.random.default_rng(0).random((300, 8192), np.float32)
    with closing(served.create("c", wide)) as collection:
        fill(collection, vectors)
        long = collection.search_batch(vectors, 1)
        deep = collection.search_batch(vectors[:5], 60_000)
    assert [hits[0].uri for hits in long] == [f"u{n}" for n in range(300)]
    assert [(hits[0].uri, len(hits)) for hits in deep] == [(f"u{n}", 300) for n in range(5)]


def test_requests_to_this_machine_bypass_proxies(served: ServedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with closing(ServedEngine(Server(served.server.address, GIVEN_KEY, retry_for=1), tmp_path)) as engine:
        with closing(engine.create("c", METADATA)) as collection:
            fill(collection, np.ones((3, 4), np.float32))
        engine.snapshot("c", tmp_path / "c.snapshot")


def test_one_process_of_this_machine_fills_a_collection_at_a_time(served: ServedEngine, tmp_path: Path):
    other = ServedEngine(served.server, tmp_path / "locks")
    with served.writing("c"), pytest.raises(CollectionBusyError, match="another process"), other.writing("c"):
        pass


@pytest.mark.parametrize("quantization", ["int8", "binary", "turbo"])
def test_the_layout_is_passed_through(served: ServedEngine, client: QdrantClient, tmp_path: Path, quantization: str):
    layout = Layout(quantization, on_disk=True, shards=2, replicas=1)
    engine = ServedEngine(served.server, tmp_path, layout=layout)
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.random.default_rng(0).random((50, 4), np.float32))
        assert len(collection.search(np.ones(4, np.float32), 5)) == 5
    config = client.get_collection("c").config
    assert isinstance(config.params.vectors, models.VectorParams)
    assert (config.params.vectors.on_disk, config.params.shard_number, config.params.replication_factor) == (True, 2, 1)
    kind = {"int8": "scalar", "binary": "binary", "turbo": "turbo"}[quantization]
    assert hasattr(config.quantization_config, kind)


def test_layouts_that_a_server_does_not_have_are_refused_or_said(
    served: ServedEngine, client: QdrantClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copied = ServedEngine(served.server, tmp_path, layout=Layout(replicas=2))
    with pytest.warns(ServerWarning, match="is not a cluster: it stores one copy, not 2"):
        copied.create("c", METADATA).close()
    monkeypatch.setattr(served.server, "version", (1, 17, 9))
    ServedEngine(served.server, tmp_path, layout=Layout("binary")).create("d", METADATA).close()
    turbo = ServedEngine(served.server, tmp_path, layout=Layout("turbo"))
    with pytest.raises(CollectionError, match=r"turbo needs Qdrant 1\.18 or newer at "):
        turbo.create("e", METADATA)
    monkeypatch.setattr(served.server, "version", (1, 18))
    turbo.create("e", METADATA).close()
    assert served.names() == ["c", "d", "e"]


def test_invalid_layouts_are_refused():
    for wrong in ({"quantization": "int4"}, {"shards": 0}, {"replicas": -1}):
        with pytest.raises(CollectionError):
            Layout(**wrong)


def test_indexing_is_paused_while_loading_and_completed_at_the_end(served: ServedEngine, client: QdrantClient):
    def threshold() -> int | None:
        return client.get_collection("c").config.optimizer_config.indexing_threshold

    with closing(served.create("c", WIDE)) as collection:
        collection.pause_indexing()
        vectors = np.random.default_rng(0).random((4_000, 128), np.float32)
        fill(collection, vectors)
        assert threshold() == 0
        assert collection.info().indexed == 0
        reported: list[tuple[int, int]] = []
        assert collection.index_pays()
        collection.build_index(small=True, progress=lambda stage, *steps: reported.append(steps))
        assert threshold() == INDEXING_THRESHOLD
        assert collection.info().indexed >= 4_000
        assert reported[-1][0] >= 4_000
        assert [h.distance for h in collection.search(vectors[7], 1)] == [0]


def test_an_indexing_threshold_that_was_set_by_hand_is_restored(served: ServedEngine, client: QdrantClient):
    with closing(served.create("c", METADATA)) as collection:
        client.update_collection("c@1", optimizers_config=models.OptimizersConfigDiff(indexing_threshold=77_000))
        collection.build_index()
        assert client.get_collection("c").config.optimizer_config.indexing_threshold == 77_000
        collection.pause_indexing()
        fill(collection, np.ones((3, 4), np.float32))
    with closing(served.open("c")) as collection:
        collection.build_index()
        assert client.get_collection("c").config.optimizer_config.indexing_threshold == 77_000


@pytest.fixture
def snapshot(served: ServedEngine, tmp_path: Path) -> Path:
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.random.default_rng(0).random((300, 4), np.float32), ["a"] * 300)
    served.snapshot("c", tmp_path / "c.snapshot")
    return tmp_path / "c.snapshot"


def test_a_snapshot_is_qdrants_own_and_leaves_nothing_on_the_server(
    served: ServedEngine, client: QdrantClient, snapshot: Path
):
    assert client.list_snapshots("c") == []
    served.restore(snapshot, "again")
    with closing(served.open("c")) as before, closing(served.open("again")) as after:
        assert after.metadata == before.metadata
        for a, b in zip(before.scroll(), after.scroll(), strict=True):
            assert (a.ids, a.payloads) == (b.ids, b.payloads)
            np.testing.assert_array_equal(a.vectors, b.vectors)
    with pytest.raises(CollectionError, match="collection 'again' already exists"):
        served.restore(snapshot, "again")


def test_an_interrupt_after_the_switch_keeps_what_was_restored(
    served: ServedEngine, client: QdrantClient, snapshot: Path, monkeypatch: pytest.MonkeyPatch
):
    switch = client.update_collection_aliases

    def switched(*arguments: Any, **named: Any) -> None:
        switch(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "update_collection_aliases", switched)
    with pytest.raises(KeyboardInterrupt):
        served.restore(snapshot, "again")
    with closing(served.open("again")) as collection:
        assert collection.count() == 300


def test_a_snapshot_that_is_damaged_on_its_way_is_told(
    served: ServedEngine, client: QdrantClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with closing(served.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32), ["a"] * 3)
    fetch = snapshots._fetch

    def one_bit(*args: Any) -> str:
        fetch(*args)
        path: Path = args[2]
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(snapshots, "_fetch", one_bit)
    with pytest.raises(CollectionError, match="damaged on its way; run the same command again"):
        served.snapshot("c", tmp_path / "c.snapshot")
    assert client.list_snapshots("c") == []


def test_a_damaged_snapshot_is_refused_and_leaves_nothing(served: ServedEngine, client: QdrantClient, snapshot: Path):
    snapshot.write_bytes(snapshot.read_bytes()[:4000])
    before = client.get_collections()
    with pytest.raises(CollectionError, match=r"c\.snapshot cannot be restored"):
        served.restore(snapshot, "again")
    assert client.get_collections() == before


def test_metadata_on_older_servers_are_in_a_reserved_collection(
    served: ServedEngine, client: QdrantClient, tmp_path: Path
):
    older = ServedEngine(served.server, tmp_path, store=MetadataStore(served.server, reserved=True))
    older.create("c", METADATA).close()
    assert client.get_collection("c").config.metadata is None
    assert older.names() == ["c"]
    points, _ = client.scroll(RESERVED)
    assert [(p.payload or {})["collection"] for p in points] == ["c@1"]
    older.delete("c")
    assert client.count(RESERVED).count == 0


def test_a_snapshot_of_a_newer_format_is_refused_and_leaves_nothing(
    served: ServedEngine, client: QdrantClient, tmp_path: Path
):
    served.create("c", METADATA).close()
    client.update_collection("c@1", metadata={"cbir": {"format": 9}})
    download(served.server, "c@1", tmp_path / "c.snapshot")
    with pytest.raises(NewerFormatError, match=r"collection 'again@1' was written by a newer cbir \(format 9;"):
        served.restore(tmp_path / "c.snapshot", "again")
    assert [c.name for c in client.get_collections().collections] == ["c@1"]
