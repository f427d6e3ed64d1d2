"""Object storage of this machine, for the sources that read from it."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.qdrant import free_ports


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


@pytest.fixture
def google_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `photos` on a server that speaks as Google's storage, and the file system that it is in."""
    # Of a bucket, the newest gcsfs first asks by gRPC what kind it is, for which this server has no ears.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="no server that speaks GCS is installed")
    gcsfs = pytest.importorskip("gcsfs", reason="the extra `gs` is not installed")
    fsspec = pytest.importorskip("fsspec")
    for _, methods in emulator.HANDLERS:  # which know of no pages and no versions
        for method, known in methods.items():
            if known.__name__ in ("ls", "download"):
                monkeypatch.setitem(methods, method, _in_pages if known.__name__ == "ls" else _of_version)
    port, _ = free_ports()
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="photos")
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})  # nobody else is asked who we are
    gcsfs.GCSFileSystem.clear_instance_cache()
    yield gcsfs.GCSFileSystem(token="anon")
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()


def _in_pages(request: Any, response: Any, storage: Any, *_: Any, **__: Any) -> None:
    asked = {name: values[0] for name, values in request.query.items()}
    bucket = request.params["bucket_name"]
    if bucket not in storage.buckets:
        response.status = HTTPStatus.NOT_FOUND
        return
    files, prefixes = storage.get_file_list(bucket, asked.get("prefix"), asked.get("delimiter"))
    start, most = int(asked.get("pageToken", 0)), int(asked.get("maxResults", 1000))
    token = {"nextPageToken": str(start + most)} if start + most < len(files) else {}
    items = files[start : start + most]
    response.json({"kind": "storage#objects", "prefixes": [] if start else prefixes, "items": items, **token})


def _of_version(request: Any, response: Any, storage: Any, *_: Any, **__: Any) -> None:
    from gcp_storage_emulator.handlers import objects

    wanted = request.query.get("generation", [None])[0]
    there = storage.get_file_list(request.params["bucket_name"], request.params["object_id"])[0]
    if wanted is None or wanted in [each["generation"] for each in there]:
        objects.download(request, response, storage)
    else:
        response.status = HTTPStatus.NOT_FOUND


@pytest.fixture(params=["s3", "gs"])
def anywhere(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """How addresses begin, and an empty bucket `photos` there."""
    files = request.getfixturevalue("bucket" if request.param == "s3" else "google_bucket")
    return f"{request.param}://", files
