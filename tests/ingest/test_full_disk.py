"""A server whose disk is full, alone or as a node of a cluster: one line says so, and the same command completes it."""

import re
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

import cbir
from cbir.collection.place import places_of
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from tests.conftest import picture, saved_classes
from tests.qdrant import QdrantProcess, cluster, needs_binary

#: Megabytes of a small disk, and of what is left when it is full: Qdrant wants 64 MB before it writes.
SIZE, LEFT = 400, 20

pytestmark = [needs_binary, pytest.mark.filterwarnings("ignore::cbir.collection.served.late.ServerWarning")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry for two seconds, where a user's command does for a minute."""
    monkeypatch.setitem(Server.__init__.__kwdefaults__, "retry_for", 2.0)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Make a folder a disk of its own; yield a file on it that takes what room there is."""
    folder.mkdir(parents=True)
    with suppress(FileNotFoundError):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if mounted.returncode == 0:
            try:
                yield folder / "ballast"
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    pytest.skip("no disk can be mounted here: that takes root, and a system that lets it")


def fill(ballast: Path) -> None:
    with ballast.open("wb") as file:
        while shutil.disk_usage(ballast.parent).free > LEFT << 20:
            file.write(bytes(1 << 20))


def add(folder: Path, count: int) -> None:
    (folder / "c").mkdir()
    for number in range(count):
        picture(1000 + number).save(folder / "c" / f"{number}.png")


def assert_every_picture_once(url: str, locks: Path, folder: Path) -> None:
    with (
        closing(ServedEngine(Server(address(url)), locks)) as engine,
        closing(engine.open("pictures")) as collection,
    ):
        found = [place.uri for page in collection.scroll() for each in page.payloads for place in places_of(each)]
    assert sorted(found) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


@pytest.mark.usefixtures("home")
def test_one_server(tmp_path: Path):
    folder = saved_classes(tmp_path / "pictures", ("a", "b"), 3)
    with small_disk(tmp_path / "disk") as ballast:
        server = QdrantProcess(ballast.parent).start()
        try:
            given = {"encoder": "pixels", "qdrant_url": server.url}
            assert cbir.ingest(folder, **given).ingested == 6
            fill(ballast)
            add(folder, 3)
            again = (
                f"the disk of Qdrant at {server.url} is full: make room there; gave up after 2 s. "
                "Nothing stored is lost. Run the same command again to continue."
            )
            with pytest.raises(cbir.CbirError, match=re.escape(again)):
                cbir.ingest(folder, **given)
            with cbir.open("pictures", qdrant_url=server.url) as searcher:
                assert searcher.search(folder / "a" / "0.png", k=1)[0].uri == "a/0.png"
            ballast.unlink()
            report = cbir.ingest(folder, **given)
            assert (report.points, report.unchanged, report.ingested) == (9, 6, 3)
            assert_every_picture_once(server.url, tmp_path / "locks", folder)
        finally:
            server.kill()


@pytest.mark.usefixtures("home")
def test_a_node_of_a_cluster_that_has_the_only_copy(tmp_path: Path):
    folder = saved_classes(tmp_path / "pictures", ("a", "b"), 3)
    with small_disk(tmp_path / "nodes" / "node-1") as ballast, ended(cluster(tmp_path / "nodes")) as nodes:
        given = {"encoder": "pixels", "qdrant_url": nodes[0].url}
        cbir.ingest(folder, **given, shards=3)
        fill(ballast)
        add(folder, 60)
        with pytest.raises(cbir.CbirError, match=r"one of the other nodes of Qdrant's cluster at .* is full"):
            cbir.ingest(folder, **given)
        ballast.unlink()
        report = cbir.ingest(folder, **given)
        assert (report.points, report.found, report.skipped) == (66, 66, 0)
        assert_every_picture_once(nodes[0].url, tmp_path / "locks", folder)


@pytest.mark.usefixtures("home")
def test_a_node_of_a_cluster_whose_points_are_elsewhere_too(tmp_path: Path):
    folder = saved_classes(tmp_path / "pictures", ("a", "b"), 3)
    with small_disk(tmp_path / "nodes" / "node-1") as ballast, ended(cluster(tmp_path / "nodes")) as nodes:
        asked, sick, _ = nodes
        given = {"encoder": "pixels", "qdrant_url": asked.url}
        cbir.ingest(folder, **given, shards=3, replicas=2)
        fill(ballast)
        add(folder, 60)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the nodes agree on what the sick one lacks a moment later
            assert cbir.ingest(folder, **given).ingested == 60
        until_one_is_behind(asked)
        with pytest.warns(
            cbir.CbirWarning, match=f"http://127.0.0.1:{sick.peer_port} of the cluster could not take all"
        ):
            assert cbir.ingest(folder, **given).unchanged == 66
        assert_every_picture_once(asked.url, tmp_path / "locks", folder)
        sick.kill()  # unless it has ended: a file that cannot grow does that to Qdrant
        ballast.unlink()
        sick.start()
        asked.wait_for_replicas("pictures@1", 6)
        with warnings.catch_warnings():
            warnings.simplefilter("error", cbir.CbirWarning)
            assert cbir.ingest(folder, **given).unchanged == 66


@contextmanager
def ended(nodes: list[QdrantProcess]) -> Iterator[list[QdrantProcess]]:
    try:
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def until_one_is_behind(asked: QdrantProcess) -> None:
    deadline = time.monotonic() + 30
    while all(each["state"] == "Active" for each in asked.told("collections/pictures@1/cluster")["remote_shards"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
