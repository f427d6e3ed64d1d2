"""A hub on this machine: a real HTTP server that has some repositories and gives parts of files."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cbir.model.pretrained.hub import HubFile
from tests.website import Quiet, served

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Files by repository and path; `answers` are given before it works as it should.

    Attributes
    ----------
    asked : list of str
        Paths that were asked for, in order, with the range if there was one.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: list[Callable[[BaseHTTPRequestHandler, bytes], None]] = []
        self.asked: list[str] = []
        hub = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(" ".join(filter(None, (self.path, self.headers["Range"]))))
                if self.path not in hub.files:
                    self.send_error(404)
                elif hub.answers:
                    hub.answers.pop(0)(self, hub.files[self.path])
                else:
                    rest(self, hub.files[self.path])

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def add(self, repository: str, path: str, content: bytes) -> HubFile:
        """Publish a file, and return what a row says about it."""
        self.files[f"/{repository}/resolve/{REVISION}/{path}"] = content
        return HubFile(repository, REVISION, path, hashlib.sha256(content).hexdigest(), len(content))


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    with served(hub.http):
        yield hub


def rest(handler: BaseHTTPRequestHandler, content: bytes, until: int | None = None) -> None:
    """Send what was asked for; `until` cuts the connection there."""
    start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(content) - start))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    handler.wfile.write(content[start:until])


def moved(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Send to the same place under another name, as the hub does with large files."""
    handler.send_response(302)
    handler.send_header("Location", f"{handler.path}?of=elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
