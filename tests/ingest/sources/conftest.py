"""Object storage of this machine, for the sources that read from it."""

from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `photos`, and the file system that it is in."""
    moto = pytest.importorskip("moto.server", reason="no server that speaks S3 is installed")
    s3fs = pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # it is one for all servers
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("photos")
    yield files
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
