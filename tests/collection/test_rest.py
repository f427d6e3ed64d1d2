"""Connections to a server: kept to another machine, and opened anew once that has closed them."""

import http.client
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cbir.collection.served.address import Address, address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.rest import NoAnswerError, Rest
from cbir.collection.served.server import Server
from tests.collection.sample import METADATA, fill, ids
from tests.qdrant import QdrantProcess


class Elsewhere(Address):
    """A server of this machine, spoken to as one of another."""

    @property
    def local(self) -> bool:
        return False


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connections that were opened."""
    made: list[str] = []
    connect = http.client.HTTPConnection.connect

    def counted(connection: http.client.HTTPConnection) -> None:
        made.append(connection.host)
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", counted)
    return made


def speaker(place: Address) -> Rest:
    return Rest(place, {}, lambda: pytest.fail("there is no proxy"))


def asked(rest: Rest) -> str:
    return str(rest.send("GET", "/", None, 5)["version"])


def test_a_connection_to_another_machine_is_kept_and_to_this_one_is_not(own_qdrant: QdrantProcess, opened: list[str]):
    host = {"url": own_qdrant.url, "host": "127.0.0.1", "secure": False, "grpc_port": 1}
    for place, expected in ((Elsewhere(**host), 1), (Address(**host), 5)):
        opened.clear()
        with closing(speaker(place)) as rest:
            for _ in range(5):
                asked(rest)
        assert len(opened) == expected


def test_one_that_the_server_has_closed_is_not_used_again(own_qdrant: QdrantProcess, opened: list[str]):
    with closing(speaker(Elsewhere(own_qdrant.url, "127.0.0.1", secure=False, grpc_port=1))) as rest:
        before = asked(rest)
        own_qdrant.kill()
        with pytest.raises(NoAnswerError) as raised:
            asked(rest)
        assert not raised.value.reachable
        for _ in range(2):
            own_qdrant.kill()
            own_qdrant.start()
            opened.clear()
            assert asked(rest) == before
            assert len(opened) == 1


def test_what_is_long_comes_compressed_from_another_machine(own_qdrant: QdrantProcess, tmp_path: Path):
    host = {"url": own_qdrant.url, "host": "127.0.0.1", "secure": False, "grpc_port": own_qdrant.grpc_port}
    vectors = np.random.default_rng(0).random((500, 4), np.float32)
    read: dict[bool, int] = {}
    whole = http.client.HTTPResponse.read
    with closing(ServedEngine(Server(Address(**host)), tmp_path)) as engine, closing(engine.create("c", METADATA)) as c:
        fill(c, vectors)
    for place in (Address(**host), Elsewhere(**host)):
        with (
            closing(ServedEngine(Server(place), tmp_path)) as engine,
            closing(engine.open("c")) as c,
            pytest.MonkeyPatch.context() as patch,
        ):
            sizes: list[int] = []

            def counted(response: http.client.HTTPResponse, *amount: int, sizes: list[int] = sizes) -> bytes:
                content = whole(response, *amount)
                sizes.append(len(content))
                return content

            patch.setattr(http.client.HTTPResponse, "read", counted)
            (page,) = c.scroll()
            read[place.local] = max(sizes)
        np.testing.assert_array_equal(page.vectors[np.argsort(page.ids)], vectors[np.argsort(ids(500))])
    assert read[False] < read[True] / 2


def test_one_that_nobody_used_for_long_is_not_used_again(
    own_qdrant: QdrantProcess, opened: list[str], monkeypatch: pytest.MonkeyPatch
):
    with closing(speaker(Elsewhere(own_qdrant.url, "127.0.0.1", secure=False, grpc_port=1))) as rest:
        asked(rest)
        monkeypatch.setattr("cbir.collection.served.rest._KEPT", 0.0)
        asked(rest)
    assert len(opened) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="files have no numbers there")
def test_one_is_kept_also_where_many_files_are_open(own_qdrant: QdrantProcess, opened: list[str]):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("the system does not give so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        with closing(speaker(Elsewhere(own_qdrant.url, "127.0.0.1", secure=False, grpc_port=1))) as rest:
            asked(rest)
            asked(rest)
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(opened) == 1


def test_threads_have_a_connection_each(own_qdrant: QdrantProcess, opened: list[str]):
    start = threading.Barrier(4)
    with closing(speaker(Elsewhere(own_qdrant.url, "127.0.0.1", secure=False, grpc_port=1))) as rest:

        def ask(_: int) -> list[str]:
            start.wait()
            return [asked(rest) for _ in range(20)]

        with ThreadPoolExecutor(4) as pool:
            answers = {version for versions in pool.map(ask, range(4)) for version in versions}
    assert len(answers) == 1
    assert 1 <= len(opened) <= 4


def test_a_host_that_no_name_can_have_is_no_answer():
    with closing(speaker(address("http://a..b"))) as rest, pytest.raises(NoAnswerError):
        asked(rest)
