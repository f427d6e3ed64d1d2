"""Addresses, keys, and the message of each fault of a server."""

import json
import logging
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import cbir
from cbir.collection.errors import CollectionError
from cbir.collection.served import server as server_module
from cbir.collection.served.address import Address, address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.server import OLDEST, RefusedError, Server
from tests.collection.sample import METADATA
from tests.qdrant import BINARY, NO_BINARY, QdrantProcess, free_ports
from tests.website import Quiet, served

SECRET = "s3cr3t-key-that-nobody-may-see"
GREETING = json.dumps({"title": "qdrant - vector search engine", "version": "1.99.0"})


@contextmanager
def answering(*answers: tuple[int, str], port: int = 0, retry_after: str = "") -> Iterator[str]:
    """Serve scripted HTTP answers, the last of them for ever; yield the URL."""
    left = list(answers)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

    with served(ThreadingHTTPServer(("127.0.0.1", port), Handler)) as url:
        yield url


#: How it is asked: by our own requests, and by qdrant-client.
ASKED: dict[str, Callable[[Server], Any]] = {
    "reader": lambda server: server.call(server.reader.names),
    "client": lambda server: [c.name for c in server.call(server.client.get_collections).collections],
}


def failure(
    url: str, key: str | None = None, *, retry_for: float = 0.3, timeout: float = 30.0, asked: str = "reader"
) -> str:
    """Call a server that must fail, and return the message."""
    with closing(Server(address(url), key, retry_for=retry_for, timeout=timeout)) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ServerWarning)
        with pytest.raises(CollectionError) as raised:
            ASKED[asked](server)
    return str(raised.value)


@pytest.mark.parametrize(
    ("given_url", "url", "grpc_port"),
    [
        ("localhost:6333", "http://localhost:6333", 6334),
        ("http://127.0.0.1", "http://127.0.0.1:6333", 6334),
        ("https://qdrant.example:443/behind/", "https://qdrant.example:443/behind", 444),
        ("http://[::1]:7000", "http://[::1]:7000", 7001),
    ],
)
def test_urls(given_url: str, url: str, grpc_port: int):
    read = address(given_url)
    assert (read.url, read.grpc_port) == (url, grpc_port)
    assert read.local == ("example" not in url)


def test_the_grpc_port_can_be_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QDRANT_GRPC_PORT", "7")
    assert address("http://localhost").grpc_port == 7
    monkeypatch.setenv("QDRANT_GRPC_PORT", "70000")
    with pytest.raises(CollectionError, match="QDRANT_GRPC_PORT"):
        address("http://localhost")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://localhost",
        "http://",
        "http://localhost:99999",
        "http://[::1",
        "//",
        "http://ho st",
        "http://%zz",
        "http://a\x7f",
    ],
)
def test_invalid_urls_are_refused(url: str):
    with pytest.raises(CollectionError, match="Qdrant URL"):
        address(url)


@pytest.mark.parametrize(
    "url", [f"https://{SECRET}@host", f"https://u:{SECRET}@host", f"http://host/?api-key={SECRET}"]
)
def test_a_key_in_a_url_is_refused_and_not_repeated(url: str):
    with pytest.raises(CollectionError, match="QDRANT_API_KEY") as raised:
        address(url)
    assert SECRET not in str(raised.value)


@given(st.text(min_size=1).filter(lambda text: text.strip() and not (text.isascii() and text.strip().isprintable())))
def test_a_key_that_no_header_can_contain_is_refused_and_not_repeated(key: str):
    with pytest.raises(
        CollectionError, match="QDRANT_API_KEY contains characters that a key cannot have; set it again"
    ) as raised:
        Server(address("http://localhost"), f"{SECRET}{key}{SECRET}")
    assert SECRET not in str(raised.value)


def test_a_key_over_plain_http_to_another_host_gives_a_warning():
    with pytest.warns(ServerWarning, match="sent to qdrant.example unencrypted") as caught:
        Server(address("http://qdrant.example:6333"), SECRET)
    assert SECRET not in str(caught[0].message)
    for url, key in (("http://127.0.0.1", SECRET), ("https://qdrant.example", SECRET), ("http://qdrant.example", None)):
        Server(address(url), key)


def test_no_server():
    port, _ = free_ports()
    assert f"no Qdrant server can be reached at http://127.0.0.1:{port}" in failure(f"http://127.0.0.1:{port}")


def test_an_unknown_host_is_not_retried():
    assert "host of http://nowhere.invalid:6333 is unknown" in failure("http://nowhere.invalid", retry_for=60)


def test_an_answer_of_something_other_than_qdrant():
    with answering((200, "<html>hello</html>")) as url:
        assert f"what answers at {url} is not Qdrant" in failure(url)
    with answering((404, "<html>not found</html>")) as url:
        assert f"what answers at {url} is not Qdrant (HTTP 404)" in failure(url)


def test_certificates_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bad.pem").write_text("no certificate")
    for file in ("bad.pem", "nothing.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / file))
        assert "cannot connect to https://localhost:6333" in failure("https://localhost")


def test_a_server_that_is_too_old():
    with answering((200, GREETING.replace("1.99.0", "1.9.7"))) as url:
        assert f"is version 1.9.7; cbir needs {OLDEST[0]}.{OLDEST[1]} or newer" in failure(url)


@pytest.mark.parametrize("asked", ASKED)
def test_answers_of_500_are_retried_for_a_limited_time(asked: str):
    error = json.dumps({"status": {"error": "Service internal error: disk on fire"}, "time": 0})
    with answering((200, GREETING), (500, error)) as url:
        message = failure(url, asked=asked)
    assert message.startswith(f"Qdrant at {url} failed: Service internal error: disk on fire; gave up after 0 s. ")
    assert message.endswith("Nothing stored is lost. Run the same command again to continue.")
    empty = json.dumps({"result": {"collections": []}, "status": "ok", "time": 0})
    with (
        answering((503, "starting"), (200, GREETING), (503, ""), (502, ""), (200, empty)) as url,
        closing(Server(address(url), retry_for=30)) as server,
    ):
        assert ASKED[asked](server) == []


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, "<html>", "what answers at {url} is not Qdrant (HTTP 404); check the URL and its path"),
        (413, "<html>", "a request is larger than what stands before Qdrant at {url} takes (HTTP 413)"),
        (200, "[" * 100_000, "what answers at {url} is not Qdrant, or a version that this cbir does not understand"),
        (500, "[" * 100_000, "Qdrant at {url} failed: Internal Server Error; gave up"),
        (403, '{"status": {"error": "Forbidden: Write access"}}', "the key in QDRANT_API_KEY may not do this at {url}"),
        (200, "<html>", "what answers at {url} is not Qdrant, or a version that this cbir does not understand"),
        (200, "{}", "what answers at {url} is not Qdrant, or a version that this cbir does not understand"),
        (
            500,
            json.dumps({"status": {"error": "1 of 2 read operations failed:\n  Timeout on http://node-3:6335"}}),
            "Qdrant at {url} failed: 1 of 2 read operations failed: Timeout on http://node-3:6335; gave up",
        ),
    ],
)
def test_a_fault_has_the_same_words_whoever_meets_it(asked: str, status: int, body: str, message: str):
    with answering((200, GREETING), (status, body)) as url:
        assert failure(url, asked=asked).startswith(message.format(url=url))


@pytest.mark.parametrize("asked", ASKED)
def test_a_server_that_has_too_many_requests_is_given_the_time_that_it_asks_for(
    asked: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    busy = json.dumps({"status": {"error": "Rate limiting exceeded"}})
    empty = json.dumps({"result": {"collections": []}, "status": "ok", "time": 0})
    with answering((200, GREETING), (429, busy), (200, empty), retry_after="1") as url:
        with closing(Server(address(url), retry_for=30)) as server:
            start = time.monotonic()
            assert ASKED[asked](server) == []
        assert time.monotonic() - start >= 1


def test_a_key_is_refused_through_a_proxy_as_without(monkeypatch: pytest.MonkeyPatch):
    """A proxy's requests are another library's, and have the same words."""
    asks = json.dumps({"status": {"error": "Must provide an API key"}})
    with answering((200, GREETING), (401, asks)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        assert failure("http://qdrant.invalid") == (
            "Qdrant at http://qdrant.invalid:6333 asks for a key: set QDRANT_API_KEY"
        )
    assert failure("http://qdrant.invalid").startswith("no Qdrant server can be reached at http://qdrant.invalid:6333")


def test_an_outage_gives_one_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "_FIRST_RETRY", 0.5)
    monkeypatch.setattr("random.uniform", lambda low, high: 0.1)  # waits at random might end the second before it warns
    with (
        answering((200, GREETING), (503, "")) as url,
        closing(Server(address(url), retry_for=1)) as server,
        pytest.warns(ServerWarning, match="retrying for 1 s") as caught,
        pytest.raises(RefusedError, match="failed"),
    ):
        server.call(server.reader.names)
    assert len(caught) == 1


def test_no_answer_in_time(own_qdrant: QdrantProcess):
    from tests.proxy import Proxy

    with closing(Proxy(own_qdrant.port)) as proxy:
        proxy.weather.delay = 3
        url = f"http://127.0.0.1:{proxy.port}"
        assert failure(url, timeout=1).startswith(f"Qdrant at {url} did not answer in time; gave up")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[QdrantProcess]:
    """A server with a key, and one that may only read."""
    if BINARY is None:
        pytest.skip(NO_BINARY)
    process = QdrantProcess(tmp_path, SERVICE__API_KEY=SECRET, SERVICE__READ_ONLY_API_KEY=f"{SECRET}-read")
    yield process.start()
    process.kill()


def test_keys(locked: QdrantProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture):
    caplog.set_level(logging.DEBUG)
    messages = [
        failure(locked.url),
        failure(locked.url, "another"),
    ]
    assert messages == [
        f"Qdrant at {locked.url} asks for a key: set QDRANT_API_KEY",
        f"Qdrant at {locked.url} refuses the key in QDRANT_API_KEY",
    ]
    with closing(ServedEngine(Server(address(locked.url), SECRET), tmp_path)) as engine:
        engine.create("c", METADATA).upsert(["5b3d4a4e-2f4b-5d51-9d3b-1b2f5b0a7e11"], [[1, 2, 3, 4]], [{}])
        messages += [repr(engine.server), repr(engine.server.address), repr(vars(engine))]
    with closing(ServedEngine(Server(address(locked.url), f"{SECRET}-read"), tmp_path)) as engine:
        collection = engine.open("c")
        assert len(collection.search([1, 2, 3, 4], 1)) == 1
        for change in (
            lambda: collection.upsert(["5b3d4a4e-2f4b-5d51-9d3b-1b2f5b0a7e11"], [[1, 2, 3, 4]], [{}]),
            lambda: engine.create("d", METADATA),
            lambda: engine.delete("c"),
            lambda: collection.remember(METADATA),
            lambda: engine.writing("c").__enter__(),
        ):
            with pytest.raises(CollectionError, match=r"may not do this .*a read-only key\?") as raised:
                change()
            messages.append(str(raised.value))
    log = (locked.folder / "qdrant.log").read_text()
    assert SECRET not in "".join([*messages, caplog.text, *capfd.readouterr(), log])


def test_a_key_that_may_only_read_is_noticed_before_an_encoder_learns(
    locked: QdrantProcess, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QDRANT_API_KEY", f"{SECRET}-read")
    with pytest.raises(CollectionError, match="a read-only key"):
        cbir.ingest("digits", encoder="pca", qdrant_url=locked.url)
    assert not (home / "models").exists()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secured(tmp_path: Path, authority: trustme.CA) -> Iterator[QdrantProcess]:
    """A server that speaks TLS with a certificate of the tests' own authority."""
    if BINARY is None:
        pytest.skip(NO_BINARY)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    process = QdrantProcess(
        tmp_path,
        SERVICE__ENABLE_TLS="true",
        TLS__CERT=str(tmp_path / "cert.pem"),
        TLS__KEY=str(tmp_path / "key.pem"),
    )
    yield process.start()
    process.kill()


def test_tls(secured: QdrantProcess, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert f"the certificate of {secured.url} is not trusted" in failure(secured.url, retry_for=60)
    assert "write https:// if the server uses TLS" in failure(secured.url.replace("https", "http"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with closing(ServedEngine(Server(address(secured.url), SECRET), tmp_path)) as engine:
        collection = engine.create("c", METADATA)
        collection.upsert(["5b3d4a4e-2f4b-5d51-9d3b-1b2f5b0a7e11"], [[1, 2, 3, 4]], [{}])
        assert collection.count() == 1


def test_tls_with_a_server_that_has_none():
    with answering((200, GREETING)) as url:
        secure = url.replace("http", "https")
        assert failure(secure, retry_for=60).startswith(f"{secure} does not use TLS; write http://")


def test_grpc_is_used_only_where_qdrant_offers_it(own_qdrant: QdrantProcess):
    host = {"url": own_qdrant.url, "host": "127.0.0.1", "secure": False}
    with closing(Server(Address(**host, grpc_port=own_qdrant.grpc_port))) as server:
        assert server.grpc_points() is not None
    with answering((200, "no gRPC here")) as other:
        for port in (free_ports()[0], int(other.rpartition(":")[2])):
            with closing(Server(Address(**host, grpc_port=port))) as server:
                assert server.grpc_points() is None


def test_another_process_connects_by_itself():
    server = Server(address("http://localhost:1"), "secret", retry_for=7, timeout=3)
    with closing(pickle.loads(pickle.dumps(server))) as there:
        assert (there.location, there.retry_for, there.timeout, there._key) == (server.location, 7, 3, "secret")
        assert "secret" not in repr(there)
