"""What `--on ray` refuses, before anything is trained or stored."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import cbir
from cbir.core.errors import CbirError, CbirWarning
from cbir.ingest.distributed import workers
from cbir.ingest.distributed.cluster import Machines, Room, warn_if_busy
from cbir.ingest.distributed.workers import Task
from cbir.ingest.shard import Work
from tests.commands import failure
from tests.ingest.distributed.shuffled import Shuffled

#: Never reached: what is wrong is told before.
SERVER = ("--qdrant-url", "http://localhost:1")


def test_an_embedded_collection_is_refused(home: Path, pictures: Path):
    told = failure("ingest", pictures, "--on", "ray")
    assert "one process holds an embedded collection" in told
    assert "cbir push" in told
    assert not list(home.rglob("model.json"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--workers", 2), "--workers: only with --on ray"),
        (("--ray", "head:6379", "--gpus-per-worker", 1), "--ray, --gpus-per-worker: only with --on ray"),
        (("--on", "ray", "--smooth", 3, *SERVER), "--smooth averages"),
        (("--on", "ray", "--watch", *SERVER), "--watch follows a folder on this machine"),
        (("--on", "ray", "--ray", "ray://head:10001", *SERVER), "ray start --address=HOST:6379"),
        (("--on", "ray", "--ray", "head", *SERVER), "write the address like HOST:6379"),
    ],
)
@pytest.mark.usefixtures("home")
def test_options_that_do_not_go_together(pictures: Path, arguments: tuple[object, ...], told: str):
    if "--ray" in arguments and "--on" in arguments:
        pytest.importorskip("ray")
    assert told in failure("ingest", pictures, *arguments)


@pytest.mark.usefixtures("home")
def test_an_address_where_nothing_answers(pictures: Path):
    pytest.importorskip("ray")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen
        port = unheard.getsockname()[1]
        told = failure("ingest", pictures, "--on", "ray", "--ray", f"127.0.0.1:{port}", *SERVER)
    assert f"no Ray cluster answers at 127.0.0.1:{port}" in told


@pytest.mark.usefixtures("home")
def test_without_ray_the_extra_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install '.[distributed]'" in failure("ingest", pictures, "--on", "ray", *SERVER)


def test_how_many_workers_there_is_room_for():
    assert Room.of(Machines(), cores=16, gpus=0) == Room(8, 8, 0.5)
    assert Room.of(Machines(), cores=1, gpus=0) == Room(1, 1, 0.25)
    assert Room.of(Machines(workers=3, read_workers=5), cores=2, gpus=0) == Room(5, 3, 0.12)
    assert Room.of(Machines(gpus_per_worker=0.5), cores=16, gpus=2) == Room(12, 4, 0.5)
    with pytest.raises(CbirError, match="the cluster has 1 GPUs"):
        Room.of(Machines(gpus_per_worker=2), cores=16, gpus=1)
    with pytest.raises(CbirError, match="--workers 3 with 1 GPUs each: the cluster has 2"):
        Room.of(Machines(workers=3, gpus_per_worker=1), cores=16, gpus=2)


def test_a_cluster_without_room_is_told():
    with pytest.warns(CbirWarning, match="the cluster has 0 cores free"):
        warn_if_busy(0, Room(4, 4, 0.5))
    warn_if_busy(1, Room(4, 4, 0.5))


@pytest.mark.usefixtures("home")
def test_a_machine_that_does_not_see_the_folder_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    class Elsewhere(Shuffled):
        """Its workers are on another machine, which has not mounted the folder."""

        def _task(self, work: Work) -> Task:
            return replace(super()._task(work), roots=("/mnt/nowhere",))

    class Older(Shuffled):
        def _task(self, work: Work) -> Task:
            return replace(super()._task(work), cbir="0.0.1")

    monkeypatch.setenv("CBIR_PROCESSES", "1")
    monkeypatch.setattr(workers, "_node", lambda: "node b (10.0.0.2)")
    for loop, told in (
        (Elsewhere(), r"^node b \(10.0.0.2\) does not see /mnt/nowhere: mount it there under the same path$"),
        (Older(), r"^node b \(10.0.0.2\) has cbir .*, and this machine 0.0.1: install the same on both$"),
    ):
        monkeypatch.setattr("cbir.verbs.ingest._loop", lambda *_, loop=loop, **__: loop)
        with pytest.raises(CbirError, match=told):
            cbir.ingest(pictures, encoder="pixels", on="ray")
