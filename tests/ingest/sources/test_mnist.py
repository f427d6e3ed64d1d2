import gzip
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cbir.ingest.sources.mnist import DATASETS, mnist
from cbir.ingest.sources.source import SourceError
from tests.ingest.sources.test_idx import idx
from tests.website import Quiet, served

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def small() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (n, 28, 28), np.uint8) for n in (6, 2)]
    return [images[0], np.arange(6, dtype=np.uint8), images[1], np.arange(2, dtype=np.uint8)]


def write(folder: Path, *, compressed: bool = True, dotted: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, small(), strict=True):
        name = name.replace("-idx", ".idx") if dotted else name
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real HTTP server that gives the folder `served` in place of the datasets' own."""
    there = tmp_path / "served"
    write(there)

    class Handler(Quiet, SimpleHTTPRequestHandler):
        """Gives the folder's files."""

    hashes = tuple(hashlib.sha256((there / f"{name}.gz").read_bytes()).hexdigest() for name in NAMES)
    with served(ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(there)))) as url:
        monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], url=f"{url}/", sha256=hashes))
        yield there


def check(source: object) -> None:
    images, labels, queries, _ = small()
    items = list(source.items())  # type: ignore[attr-defined]
    assert [item.label for item in items] == labels.tolist()
    assert items[4].uri == "mnist:train/4"
    assert items[4].payload == {"index": 4, "width": 28, "height": 28}
    assert np.array_equal(np.asarray(items[4].open()), images[4])
    assert np.array_equal(np.asarray(source.picture("mnist:test/1")), queries[1])  # type: ignore[attr-defined]
    assert len(source.queries()) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["gzip", "plain", "dotted", "npz", "direct"])
def test_found_in_any_usual_form(tmp_path: Path, kind: str):
    folder = tmp_path / "data" / "mnist"
    if kind == "npz":
        folder.mkdir(parents=True)
        arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), small(), strict=True))
        np.savez(folder / "mnist.npz", **arrays)
    else:
        write(folder, compressed=kind != "plain", dotted=kind == "dotted")
    check(mnist("mnist", [folder if kind == "direct" else tmp_path / "data"], tmp_path / "cache"))


def test_downloaded_once_checked_and_kept(server: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    check(mnist("mnist", [], cache))
    for file in server.iterdir():
        file.unlink()
    check(mnist("mnist", [], cache))


def test_an_interrupted_download_goes_on(server: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    (cache / "mnist").mkdir(parents=True)
    shutil.copy(server / f"{NAMES[0]}.gz", cache / "mnist")
    check(mnist("mnist", [], cache))


def test_a_download_with_another_content_is_refused_and_not_kept(server: Path, tmp_path: Path):
    (server / f"{NAMES[0]}.gz").write_bytes(b"something else")
    with pytest.raises(SourceError, match="checksum mismatch"):
        mnist("mnist", [], tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("train-images*"))


def test_offline_the_error_names_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    closed = replace(DATASETS["fashion-mnist"], url="http://127.0.0.1:9/")
    monkeypatch.setitem(DATASETS, "fashion-mnist", closed)
    with pytest.raises(SourceError, match=r"--data-dir or CBIR_DATA.*cbir ingest digits") as raised:
        mnist("fashion-mnist", [tmp_path], tmp_path / "cache")
    assert str(tmp_path / "cache") in str(raised.value)


def test_fashion_mnist_is_not_taken_for_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "mnist")
    monkeypatch.setitem(DATASETS, "fashion-mnist", replace(DATASETS["fashion-mnist"], url="http://127.0.0.1:9/"))
    with pytest.raises(SourceError, match="downloading failed"):
        mnist("fashion-mnist", [tmp_path / "mnist"], tmp_path / "cache")


@pytest.mark.parametrize("damage", ["missing", "labels short", "npz"])
def test_incomplete_sets_are_refused_by_name(tmp_path: Path, damage: str):
    folder = tmp_path / "mnist"
    write(folder)
    if damage == "missing":
        (folder / f"{NAMES[3]}.gz").unlink()
    elif damage == "labels short":
        (folder / f"{NAMES[1]}.gz").write_bytes(gzip.compress(idx(np.zeros(5, np.uint8))))
    else:
        (folder / "mnist.npz").write_bytes(b"PK")
    match = {"missing": "t10k-labels.*missing", "labels short": "labels 5 images", "npz": r"mnist\.npz is not"}[damage]
    with pytest.raises(SourceError, match=match):
        mnist("mnist", [tmp_path], tmp_path / "cache")


@pytest.mark.parametrize("uri", ["mnist:train/6", "mnist:train/-1", "mnist:nothing/0", "mnist:train", "mnist:train/x"])
def test_an_image_that_is_not_there_is_refused(tmp_path: Path, uri: str):
    write(tmp_path / "mnist")
    with pytest.raises(SourceError, match="mnist:train/0 to 5 or mnist:test/0 to 1"):
        mnist("mnist", [tmp_path], tmp_path / "cache").picture(uri)


def test_the_real_one_is_not_taken_for_fashion_mnist(mnist_data: Path, tmp_path: Path):
    elsewhere = tmp_path / "myfiles"
    elsewhere.symlink_to(mnist_data / "mnist")
    with pytest.raises(SourceError, match="myfiles holds MNIST, not fashion-mnist"):
        mnist("fashion-mnist", [elsewhere], tmp_path / "cache")


def test_the_real_one(mnist_data: Path, tmp_path: Path):
    source = mnist("mnist", [mnist_data], tmp_path)
    assert len(source) == 60_000
    labels = np.bincount([item.label for item in source.queries()])
    assert labels.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
