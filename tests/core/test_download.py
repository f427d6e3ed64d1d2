import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cbir.core import download as module
from cbir.core.download import DownloadError, download
from tests.website import Quiet, served

CONTENT = bytes(range(256)) * 3000
OTHER = b"something else"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Website:
    """A real HTTP server on this machine; `answers` are given in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = [whole]
        self.asked = 0
        site = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                (site.answers.pop(0) if len(site.answers) > 1 else site.answers[0])(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.gz"


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


whole = answer(200, CONTENT)
cut = answer(200, CONTENT[:1000], Content_Length=str(len(CONTENT)))


def rest(handler: BaseHTTPRequestHandler, until: int | None = None) -> None:
    """Send what a request asks for, as servers that give parts do; `until` cuts it off there."""
    start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        answer(416)(handler)
        return
    length, part = str(len(CONTENT) - start), f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    answer(206 if start else 200, CONTENT[start:until], Content_Length=length, Content_Range=part)(handler)


def another_part(handler: BaseHTTPRequestHandler) -> None:
    if handler.headers["Range"]:
        answer(206, CONTENT[7:], Content_Range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")(handler)
    else:
        whole(handler)


@pytest.fixture
def website(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(module, "_MAX_WAIT", 0.01)
    site = Website()
    with served(site.http):
        yield site


def test_a_file_is_fetched_once_with_progress(website: Website, tmp_path: Path):
    path, seen = tmp_path / "cache" / "file.gz", []
    download(website.url, path, SHA256, progress=lambda *report: seen.append(report))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT), "file.gz")
    download(website.url, path, SHA256)
    assert website.asked == 1
    path.write_bytes(b"damaged since")
    download(website.url, path, SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("trouble", [answer(503), answer(429), cut])
def test_what_fails_for_a_moment_is_tried_again(
    website: Website, tmp_path: Path, trouble: Callable[[BaseHTTPRequestHandler], None]
):
    website.answers = [trouble, trouble, whole]
    download(website.url, tmp_path / "file.gz", SHA256)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert website.asked == 3


@pytest.mark.parametrize(
    ("trouble", "message", "attempts"),
    [
        (answer(404), "the server answered 404 Not Found", 1),
        (answer(503), "the server answered 503", 3),
        (
            answer(200, b"something else"),
            f"SHA-256 is {hashlib.sha256(b'something else').hexdigest()}, expected {SHA256}",
            1,
        ),
    ],
)
def test_what_stays_wrong_is_refused_and_nothing_is_left(
    website: Website,
    tmp_path: Path,
    trouble: Callable[[BaseHTTPRequestHandler], None],
    message: str,
    attempts: int,
):
    website.answers = [trouble]
    with pytest.raises(DownloadError, match=message) as raised:
        download(website.url, tmp_path / "file.gz", SHA256)
    assert website.url in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    assert website.asked == attempts


def test_what_was_cut_off_is_continued_by_the_next_attempt_and_the_next_call(website: Website, tmp_path: Path):
    seen: list[int] = []
    website.answers = [partial(rest, until=end) for end in (1000, 300_000, 500_000)] + [rest]
    with pytest.raises(DownloadError, match=r"peer closed connection.*what has arrived is kept"):
        download(website.url, tmp_path / "file.gz", SHA256)
    assert not (tmp_path / "file.gz").exists()
    download(website.url, tmp_path / "file.gz", SHA256, progress=lambda _, done, *__: seen.append(done))
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert min(seen) > 500_000
    assert website.asked == 4
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]


@pytest.mark.parametrize("server", [whole, rest, another_part])
@pytest.mark.parametrize("there", [CONTENT[:1000], b"of another file", CONTENT, CONTENT + b"and more"])
def test_whatever_was_left_the_file_is_right(
    website: Website, tmp_path: Path, server: Callable[[BaseHTTPRequestHandler], None], there: bytes
):
    website.answers = [cut]
    with pytest.raises(DownloadError):
        download(website.url, tmp_path / "file.gz", SHA256)
    (left,) = tmp_path.iterdir()
    left.write_bytes(there)
    website.answers, website.asked = [server], 0
    download(website.url, tmp_path / "file.gz", SHA256)
    assert bool(website.asked) == (there != CONTENT)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]


def test_a_part_that_was_not_asked_for_is_not_put_behind_another(website: Website, tmp_path: Path):
    website.answers = [cut, another_part]
    download(website.url, tmp_path / "file.gz", SHA256)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_processes_that_want_the_same_file_fetch_it_once(website: Website, tmp_path: Path):
    threads = [threading.Thread(target=download, args=(website.url, tmp_path / "file.gz", SHA256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert website.asked == 1


def test_a_process_that_waits_for_another_says_so(website: Website, tmp_path: Path):
    going, seen = threading.Event(), []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        going.wait(10)
        whole(handler)

    def waiting(*report: object) -> None:
        seen.append(report)
        going.set()

    website.answers = [slow]
    one = threading.Thread(target=download, args=(website.url, tmp_path / "file.gz", SHA256))
    one.start()
    while not website.asked:
        threading.Event().wait(0.01)
    download(website.url, tmp_path / "file.gz", SHA256, progress=waiting)
    one.join()
    assert seen == [("download", 0, None, "file.gz, which another process is downloading")]


def test_a_folder_that_cannot_be_written_to_is_named(website: Website, tmp_path: Path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DownloadError, match="cache cannot be written to: "):
        download(website.url, tmp_path / "cache" / "file.gz", SHA256)


def test_a_file_that_moved_is_followed_and_arrives_as_it_is_stored(website: Website, tmp_path: Path):
    website.answers = [answer(302, Location="/elsewhere"), answer(200, CONTENT, Content_Encoding="gzip")]
    download(website.url, tmp_path / "file.gz", SHA256)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_without_a_connection_that_is_said_at_once(tmp_path: Path):
    with pytest.raises(DownloadError, match="no connection"):
        download("http://127.0.0.1:9/file.gz", tmp_path / "file.gz", SHA256)
