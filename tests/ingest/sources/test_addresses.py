"""Pictures over HTTP, from a server of ours on this machine: what is bounded, and what is refused."""

import ipaddress
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cbir.ingest.sources import addresses
from cbir.ingest.sources.addresses import Fetcher, is_address, is_public
from cbir.model.errors import ImageError
from tests.website import Quiet, served

CONTENT = b"\x89PNG" * 1000


class Handler(Quiet, BaseHTTPRequestHandler):
    """Answers by the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.hosts.add(self.headers["Host"])
        if self.path in self.server.contents:
            self.answer(200, self.server.contents[self.path])
            return
        try:
            getattr(self, "to_" + self.path.split("/")[1], self.to_nothing)()
        except OSError:  # the other side has had enough
            self.close_connection = True

    def to_picture(self) -> None:
        self.answer(200, CONTENT)

    def to_nothing(self) -> None:
        self.answer(404)

    def to_busy(self) -> None:
        self.answer(503 if self.server.asked.count(self.path) == 1 else 200, CONTENT)

    def to_there(self) -> None:
        self.answer(302, location="/picture")

    def to_loop(self) -> None:
        self.answer(301, location="/loop")

    def to_file(self) -> None:
        self.answer(302, location="file:///etc/passwd")

    def to_inside(self) -> None:
        self.answer(302, location=f"http://localhost:{self.server.server_port}/picture")

    def to_large(self) -> None:
        self.answer(200, length=10**12)

    def to_endless(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(1 << 16))

    def to_slow(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-Still: here\r\n")
            time.sleep(0.02)

    def answer(self, status: int, content: bytes = b"", *, location: str = "", length: int | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.hosts, server.contents = [], set(), {}
    with served(server) as server.url:
        yield server


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    monkeypatch.setattr(addresses, "_WAIT", 0.01)
    fetcher = Fetcher(allow_private=True, most_bytes=1_000_000, most_seconds=2)
    yield fetcher
    fetcher.close()


def test_what_is_there_is_fetched_also_by_a_redirect_and_by_many_threads(server, fetcher: Fetcher):
    named = server.url.replace("//", "//user:secret@")
    assert [fetcher.fetch(f"{url}/there") for url in (server.url, named)] == [CONTENT] * 2
    assert server.hosts == {server.url.removeprefix("http://")}
    assert fetcher.fetch(f"{server.url}/busy") == CONTENT
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(fetcher.fetch, [f"{server.url}/picture"] * 40)) == {CONTENT}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "the server answered 404 Not Found"),
        ("loop", "more than 5 redirects"),
        ("file", "leads to 'file:', where nothing is read"),
        ("large", "has more than 1 MB"),
        ("endless", "has more than 1 MB"),
        ("slow", "not there within 1 seconds"),
    ],
)
def test_what_is_not_to_be_had_says_why(server, path: str, reason: str):
    fetcher = Fetcher(allow_private=True, most_bytes=1_000_000, most_seconds=1)
    with pytest.raises(ImageError, match=reason) as caught:
        fetcher.fetch(f"{server.url}/{path}")
    assert str(caught.value).startswith(f"{server.url}/{path}: ")
    if path != "slow":  # what would be answered again in the same way is not asked for again
        assert len(server.asked) == (1 + 5 if path == "loop" else 1)
    fetcher.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0",
        "169.254.169.254",
        "10.1.2.3",
    ],
)
def test_hosts_in_a_private_network_are_refused(server, host: str):
    fetcher = Fetcher()
    with pytest.raises(ImageError, match=r"private network .*--allow-private"):
        fetcher.fetch(f"http://{host}:{server.server_port}/picture")
    assert not server.asked


def test_a_redirect_into_a_private_network_is_refused(server, monkeypatch: pytest.MonkeyPatch):
    """As if this server were a public one, which leads elsewhere."""
    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    looked_up = addresses._addresses
    monkeypatch.setattr(
        addresses, "_refuse_private", lambda host, found: refuse(host, found) if host == "localhost" else None
    )

    def refuse(host: str, found: object) -> None:
        assert looked_up(host, 0)
        raise addresses._RefusedError("is in a private network")

    fetcher = Fetcher()
    with pytest.raises(ImageError, match="private network"):
        fetcher.fetch(f"{server.url}/inside")
    assert server.asked == ["/inside"]
    fetcher.close()


def test_a_name_that_changes_its_address_leads_no_further(server, monkeypatch: pytest.MonkeyPatch):
    """The connection goes to the address that was looked at, and the name is looked up once."""
    asked = []

    def look_up(host: str, port: int) -> list:
        asked.append(host)
        return [ipaddress.ip_address("8.8.8.8" if len(asked) == 1 else "127.0.0.1")]

    connected = []

    class Network:
        def connect_tcp(self, host: str, *_: object) -> None:
            connected.append(host)
            raise addresses.httpcore.ConnectError("not from here")

    monkeypatch.setattr(addresses, "_addresses", look_up)
    monkeypatch.setattr(addresses.httpcore, "SyncBackend", Network)
    with pytest.raises(ImageError, match="no connection"):
        Fetcher().fetch(f"http://changing.example:{server.server_port}/picture")
    assert (asked, connected) == (["changing.example"], ["8.8.8.8"])


@pytest.mark.parametrize(
    "address", ["http://", "http://a b/", "http://ex\u200bample/", "http://nowhere.invalid/", "https://:1"]
)
def test_an_address_that_is_none_says_so(address: str):
    with pytest.raises(ImageError):
        Fetcher().fetch(address)


def test_what_is_public():
    public = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    private = ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "100.64.0.1", "224.0.0.1", "fe80::1", "fd00::1"]
    private += ["::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "fec0::1"]
    assert all(is_public(ipaddress.ip_address(text)) for text in public)
    assert not any(is_public(ipaddress.ip_address(text)) for text in private)


def test_what_is_an_address():
    assert all(map(is_address, ["http://a/b.jpg", "HTTPS://a/b.jpg"]))
    assert not any(map(is_address, ["a.jpg", "http:/a", "ftp://a/b", "mnist:test/1", "/http://a", ""]))


def test_where_a_proxy_is_set_it_is_asked_but_for_what_is_inside(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    outside = "http://8.8.8.8/1.png"
    server.contents[outside] = CONTENT
    assert Fetcher().fetch(outside) == CONTENT
    with pytest.raises(ImageError, match=r"127\.0\.0\.1"):
        Fetcher().fetch("http://127.0.0.1/1.png")
    assert server.asked == [outside]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert Fetcher(allow_private=True).fetch(f"{server.url}/picture") == CONTENT
    assert server.asked == [outside, "/picture"]
