"""What hostile clients send: bombs, polyglots, endless and slow bodies, a thousand connections. Others are answered."""

import contextlib
import io
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import cbir
from cbir.core.settings import read_settings
from cbir.model.errors import ImageError
from cbir.search.options import SearchOptions
from cbir.serve import connections, decoding, limits
from cbir.serve.headers import COMMON
from cbir.serve.keeper import Keeper
from cbir.serve.warned import sorted_by_thread
from tests.serve import decoders
from tests.serve.asking import asking, file_of
from tests.serve.inside import serving_inside

PNG = file_of(Image.new("RGB", (8, 8), "red"))
MIB = 1 << 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a few digits."""
    place = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place))
        cbir.ingest("digits", encoder="pixels", limit=5)
    return place


@pytest.fixture
def client(small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("CBIR_HOME", str(small))
    with asking(most_bytes=MIB, most_pixels=4_000_000) as client:
        yield client


@contextmanager
def started(**config: Any) -> Iterator[int]:
    """Yield the port of a real server over the collections of CBIR_HOME."""
    with serving_inside(read_settings().home, **config) as address:
        yield int(address.rsplit(":", 1)[1])


def talk(port: int, *parts: bytes) -> socket.socket:
    """Return a connection on which some bytes were sent."""
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    for part in parts:
        line.sendall(part)
    return line


def answer(line: socket.socket) -> tuple[int, bytes]:
    """Return the status and the rest of an answer, whose sender closes the connection."""
    received = b""
    with line:
        while part := line.recv(65536):
            received += part
    return int(received.split(b" ", 2)[1]), received


def head(method: str = "POST", path: str = "/api/uploads", **headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items()),
    ]
    return "\r\n".join([*lines, "\r\n"]).encode()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", start, *more, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("1.png", PNG)
    return file.getvalue()


#: Uploads by name, and the statuses that they may get.
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {422}),
    "a page": (b"<!doctype html><script>alert(1)</script>", {415}),
    "a drawing that is a page": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', {415}),
    "a page that begins like a GIF": (b"GIF89a/*<html>*/=1;alert(1)//", {422}),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", {415}),
    "PDF": (b"%PDF-1.7\n", {415}),
    "a program": (b"\x7fELF" + bytes(100), {415}),
    "an archive": (zipped(), {415}),
    "zeros": (bytes(1000), {415}),
    "a PNG of 4 gigapixels": (png(65535, 65535, zlib.compress(bytes(10_000))), {422}),
    "a PNG of more pixels than allowed": (file_of(Image.new("1", (2001, 2000))), {422}),
    "a PNG whose data go on": (png(64, 64, zlib.compress(bytes(200 * MIB), 9)), {201, 422}),
    "a PNG with a bomb as its profile": (
        png(8, 8, zlib.compress(bytes(8 * 25)), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200 * MIB), 9))),
        {201, 422},
    ),
    "a PNG with a bomb as its text": (
        png(8, 8, zlib.compress(bytes(8 * 25)), chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200 * MIB), 9))),
        {201, 422},
    ),
    "a WebP of more pixels than allowed": (file_of(Image.new("RGB", (4000, 4000)), "WEBP"), {422}),
    "a WebP that announces a gigapixel": (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\0\xff\x3f\0VP8 \0\0\0\0",
        {422},
    ),
    "a GIF of 4 gigapixels": (
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
        {422},
    ),
    "a JPEG that ends at once": (b"\xff\xd8\xff", {422}),
    "a JPEG of nothing": (b"\xff\xd8\xff" + bytes(1000), {422}),
    "a TIFF that points at itself": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", {422}),
    "a PNG with something behind it": (PNG + b"<script>alert(1)</script>" + zipped(), {201}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_are_refused_or_shown_as_pictures(client: TestClient, name: str):
    content, statuses = HOSTILE[name]
    for alone in (True, False):
        sent = {"content": content} if alone else {"files": {"image": ("x.png", content, "image/png")}}
        found = client.post("/api/uploads", **sent)  # type: ignore[arg-type]
        assert found.status_code in statuses, found.text
        searched = client.post("/api/collections/digits/search", files={"image": content})
        assert searched.status_code == (found.status_code if found.status_code != 201 else 200)
        if found.status_code == 201:
            shown = client.get(f"/uploads/{found.json()['id']}")
            assert shown.headers["content-type"] == "image/webp"
            assert b"script" not in shown.content
        else:
            assert found.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("decoder", "seconds", "said"),
    [
        (decoders.take_all, 60, "not enough memory"),
        (decoders.hang, 0.5, "more than 0.5 seconds"),
        (decoders.crash, 60, "SIGSEGV"),
    ],
)
def test_a_decoder_that_fails_fails_alone(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: object, seconds: float, said: str
):
    monkeypatch.setenv("CBIR_HOME", str(small))
    Image.linear_gradient("L").resize((8, 8)).save(tmp_path / "odd.png")
    with asking() as client, sorted_by_thread():
        with monkeypatch.context() as patch:
            patch.setattr(client.app.state.cbir.decoding, "_seconds", seconds)  # type: ignore[attr-defined]
            patch.setattr(decoding, "_size", decoder)
            patch.setattr(decoding, "_picture", decoder)
            found = client.post("/api/uploads", content=PNG)
            # `cbir search odd.png` beside the server.
            path = str(tmp_path / "odd.png")
            asked = "digits", [path], {path: "odd.png"}, asdict(SearchOptions())
            with pytest.raises(ImageError, match=said):
                Keeper(client.app.state.cbir).search(*asked)  # type: ignore[attr-defined]
        assert (found.status_code, found.headers["content-type"]) == (422, "application/problem+json")
        assert said in found.json()["detail"]
        assert client.post("/api/uploads", content=PNG).status_code == 201
        Keeper(client.app.state.cbir).search(*asked)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "most"),
    [("image/png", MIB), ("", MIB), ("application/json", MIB), ("application/x-www-form-urlencoded", 1 << 16)],
)
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_no_larger_than_it_may_be(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, kind: str, most: int, announced: bool
):
    monkeypatch.setattr(limits, "_DRAINED_SECONDS", 0.05)  # this client never hangs up
    content = b"\xff" * (most + 1)
    body = content if announced else iter([content[:1000], content[1000:]])
    found = client.post("/api/uploads", content=body, headers={"Content-Type": kind})
    assert (found.status_code, found.headers["content-type"]) == (413, "application/problem+json")
    assert client.post("/api/uploads", content=content[:-1], headers={"Content-Type": kind}).status_code == 415


def test_a_form_is_no_larger_either(client: TestClient):
    for address in ("/api/uploads", "/api/collections/digits/search"):
        assert client.post(address, files={"image": PNG + bytes(3 * MIB)}).status_code == 413


def test_all_bodies_together_are_bounded(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(small))
    with started(bodies_bytes=MIB) as port:
        other = head(Content_Length="500000", Connection="close"), bytes(500_000)
        with talk(port, head(Content_Length=str(MIB)), bytes(900_000)) as one:
            # Once the first has been read as far as it goes, and later, once it is forgotten.
            assert any(answer(talk(port, *other))[0] == 503 for _ in range(50))
            one.sendall(bytes(MIB - 900_000))
            assert one.recv(65536).split(b" ")[1] in {b"415", b"503"}  # the last of the others may be held still
            assert any(answer(talk(port, *other))[0] == 415 for _ in range(50))


def test_endless_and_slow_bodies_are_ended(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(small))
    with started(most_bytes=MIB, body_seconds=2, pause_seconds=1) as port:
        silent = talk(port, head(Content_Length="100"), b"abc")
        dripping = talk(port, head(Transfer_Encoding="chunked"))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    dripping.sendall(b"1\r\nx\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        endless = talk(port, head(Transfer_Encoding="chunked"))
        piece, sent = b"100000\r\n" + bytes(MIB) + b"\r\n", 0
        with endless, contextlib.suppress(OSError):
            for _ in range(1024):
                endless.sendall(piece)
                sent += 1
        assert sent < 1024
        assert answer(talk(port, head("GET", "/api/collections", Connection="close")))[0] == 200, "others are answered"
        assert answer(silent)[0] == 408
        assert answer(dripping)[0] == 408
        stop.set()
        thread.join()
        large = talk(port, head(Content_Length=str(2 * MIB)), bytes(2 * MIB))
        status, received = answer(large)
        assert status == 413, "its sender sees the answer, and no broken line"
        assert b"connection: close" in received
        early = talk(port, head(Content_Length=str(1 << 30), Expect="100-continue"))
        status, received = answer(early)
        assert (status, b"100 Continue" in received) == (413, False)


def test_idle_connections_are_not_in_the_way(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(small))
    with started() as port, ExitStack() as lines:
        for number in range(1000):
            lines.enter_context(talk(port, head() if number % 3 == 1 else b"GET / HTTP/1.1\r\n" if number % 3 else b""))
        upload = talk(port, head(Content_Length=str(len(PNG)), Connection="close"), PNG)
        assert answer(upload)[0] == 201


def test_connections_that_do_not_ask_are_closed(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(small))
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    with started() as port:
        begun = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-"
        after = talk(port, head("GET", "/api/collections"))
        assert after.recv(65536).startswith(b"HTTP/1.1 200")
        after.sendall(begun)
        unread = talk(port, head(path="/nothing", Transfer_Encoding="chunked"))
        assert unread.recv(65536).startswith(b"HTTP/1.1 404")
        unread.sendall(b"5\r\nhello\r\n")
        for line in (talk(port), talk(port, begun), after, unread):
            with line:
                while line.recv(65536):
                    pass
        status, _ = answer(talk(port, b"GET /api/collections HTTP/1.0\r\n\r\n"))
        assert status == 400, "a request without a host"
        status, said = answer(talk(port, b"no request\r\n\r\n"))
        assert status == 400
        missing = [name for name, value in COMMON.items() if f"{name}: {value}".encode().lower() not in said.lower()]
        assert not missing, "what no application has answered has the headers of every answer"


def test_who_does_not_read_an_answer_is_sent_away(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(small))
    monkeypatch.setattr(connections, "SENDING_SECONDS", 0.2)
    gone, lost = threading.Event(), connections.Connection.connection_lost

    def told(self: connections.Connection, exc: Exception | None) -> None:
        lost(self, exc)
        gone.set()

    monkeypatch.setattr(connections.Connection, "connection_lost", told)
    with started() as port, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", port))
        line.sendall(head("GET", "/api/openapi.json") * 300)
        assert gone.wait(30)
