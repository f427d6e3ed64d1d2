"""A served collection on a bad network and on a server that dies: every point there, exactly once."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from cbir.collection.indexing import build_index
from cbir.collection.interface import Collection, Engine
from cbir.collection.served.address import Address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.server import RefusedError, Server
from tests.collection.sample import METADATA, ids
from tests.proxy import Proxy, Weather
from tests.qdrant import QdrantProcess, needs_binary

POINTS = 4_000
BATCH = 500

pytestmark = pytest.mark.filterwarnings("ignore::cbir.collection.served.late.ServerWarning")


@pytest.fixture
def rest(own_qdrant: QdrantProcess) -> Iterator[Proxy]:
    with closing(Proxy(own_qdrant.port)) as proxy:
        yield proxy


@pytest.fixture
def grpc(own_qdrant: QdrantProcess) -> Iterator[Proxy]:
    with closing(Proxy(own_qdrant.grpc_port)) as proxy:
        yield proxy


@contextmanager
def engine_at(rest_port: int, grpc_port: int, locks: Path, retry_for: float = 60) -> Iterator[ServedEngine]:
    place = Address(f"http://127.0.0.1:{rest_port}", "127.0.0.1", secure=False, grpc_port=grpc_port)
    with closing(ServedEngine(Server(place, retry_for=retry_for, timeout=10), locks)) as engine:
        yield engine


def batches() -> Iterator[tuple[list[str], np.ndarray, list[dict]]]:
    vectors = np.random.default_rng(0).random((POINTS, 4), np.float32)
    known = ids(POINTS)
    for start in range(0, POINTS, BATCH):
        part = slice(start, start + BATCH)
        yield known[part], vectors[part], [{"uri": i, "label": 7} for i in known[part]]


def assert_complete(collection: Collection) -> None:
    expected = {i: (v, p) for many in batches() for i, v, p in zip(*many, strict=True)}
    assert collection.count() == POINTS
    assert collection.count(where={"label": [7]}) == POINTS
    seen = []
    for page in collection.scroll():
        seen += page.ids
        for i, vector, payload in zip(page.ids, page.vectors, page.payloads, strict=True):
            np.testing.assert_array_equal(vector, expected[i][0])
            assert payload == expected[i][1]
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("by_grpc", [True, False])
@pytest.mark.parametrize("weather", [Weather(delay=0.02), Weather(cut=6, after=2000), Weather(corrupt=6, after=2000)])
def test_loading_over_a_bad_network(
    own_qdrant: QdrantProcess, rest: Proxy, grpc: Proxy, tmp_path: Path, weather: Weather, by_grpc: bool
):
    with engine_at(rest.port, grpc.port if by_grpc else 1, tmp_path) as engine:
        collection = engine.create("c", METADATA)
        assert (engine.server.grpc_points() is not None) == by_grpc
        rest.weather = grpc.weather = weather
        for many in batches():
            collection.upsert(*many)
        assert (weather.cut, weather.corrupt) == (0, 0), "the weather was to be met"
        rest.weather = grpc.weather = Weather()
        assert_complete(collection)


def test_a_server_killed_and_started_again_while_loading(own_qdrant: QdrantProcess, tmp_path: Path):
    with engine_at(own_qdrant.port, own_qdrant.grpc_port, tmp_path) as engine:
        collection = engine.create("c", METADATA)

        def power_cut() -> None:
            own_qdrant.kill()
            own_qdrant.start(wait=False)

        for number, many in enumerate(batches()):
            if number in (2, 5):
                cut = threading.Timer(0.005, power_cut)
                cut.start()
            collection.upsert(*many)
            if number in (2, 5):
                cut.join()
        assert_complete(collection)


def test_an_unreachable_server_is_an_error_and_the_load_continues_later(own_qdrant: QdrantProcess, tmp_path: Path):
    parts = list(batches())
    with engine_at(own_qdrant.port, own_qdrant.grpc_port, tmp_path, retry_for=1) as engine:
        collection = engine.create("c", METADATA)
        for many in parts[:3]:
            collection.upsert(*many)
        own_qdrant.kill()
        # By gRPC, in the words that REST has.
        unreachable = r"^no Qdrant server can be reached at http://127\.0\.0\.1:\d+ \(Connection refused\); "
        with pytest.raises(
            RefusedError, match=rf"{unreachable}gave up after 1 s\. Nothing stored is lost\. Run the same"
        ):
            collection.upsert(*parts[3])
        # What tidies up afterwards does not wait as long again.
        with pytest.raises(RefusedError, match="gave up after 0 s"):
            collection.remember(METADATA)
    own_qdrant.start()
    with engine_at(own_qdrant.port, own_qdrant.grpc_port, tmp_path) as engine, closing(engine.open("c")) as collection:
        assert 3 * BATCH <= collection.count() <= 4 * BATCH
        for many in parts:
            collection.upsert(*many)
        assert_complete(collection)


def test_an_interrupted_replacement_leaves_the_old_collection(own_qdrant: QdrantProcess, tmp_path: Path):
    with engine_at(own_qdrant.port, own_qdrant.grpc_port, tmp_path, retry_for=1) as engine:
        with closing(engine.create("c", METADATA)) as collection:
            for many in batches():
                collection.upsert(*many)
        with pytest.raises(RefusedError, match="Nothing stored is lost"):
            replace_and_die(engine, own_qdrant)
        own_qdrant.start()
        with closing(engine.open("c")) as collection:
            assert_complete(collection)
        with pytest.warns(ServerWarning, match="'c@2' .* has no alias"), engine.replacement("c", METADATA) as new:
            new.upsert(*next(batches()))
        left = [c.name for c in engine.server.client.get_collections().collections]
        with closing(engine.open("c")) as collection:
            assert collection.count() == BATCH
    assert sorted(left) == ["c@2", "c@3"], "what was cut off stays: for all we know, another machine fills it"


def replace_and_die(engine: Engine, process: QdrantProcess) -> None:
    with engine.replacement("c", METADATA) as new:
        new.upsert(*next(batches()))
        process.kill()


def test_a_server_killed_while_it_indexes_is_waited_for(own_qdrant: QdrantProcess, tmp_path: Path):
    wide = replace(METADATA, dimension=128)
    with engine_at(own_qdrant.port, own_qdrant.grpc_port, tmp_path) as engine:
        with closing(engine.create("c", wide)) as collection:
            collection.pause_indexing()
            vectors = np.random.default_rng(0).random((POINTS, 128), np.float32)
            collection.upsert(ids(POINTS), vectors, [{}] * POINTS)
        reported: list[int] = []

        def report(stage: str, done: int, total: int | None, note: str = "") -> None:
            if not reported:
                own_qdrant.kill()
                own_qdrant.start()
            reported.append(done)

        build_index(engine, "c", True, report)
        with closing(engine.open("c")) as collection:
            assert collection.info().indexed >= POINTS
            assert collection.count() == POINTS


@needs_binary
@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_ctrl_c_ends_an_ingest_soon_whatever_the_server_does(
    own_qdrant: QdrantProcess, bundle: Path, home: Path, fault: str
):
    process = subprocess.Popen(
        [sys.executable, "-m", "cbir", "ingest", "digits", "--model", bundle, "--qdrant-url", own_qdrant.url],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # Where the tests run in a shell's background, they and their children ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with closing(QdrantClient(own_qdrant.url, check_compatibility=False)) as client:
        while not client.collection_exists("digits"):
            assert process.poll() is None
            time.sleep(0.01)
    if fault == "frozen":
        own_qdrant.freeze()
    else:
        own_qdrant.kill()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - start < 30
    assert process.returncode == 130, stderr
    assert "stopped. Nothing stored is lost. Run the same command again to continue." in stderr
