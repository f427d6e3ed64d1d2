"""What nothing uses is found and removed; what anything may use stays."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.served.engine import ServedEngine
from cbir.core.partial import ABANDONED_AFTER
from cbir.evaluate.evaluation import new_run_folder
from cbir.model.leftovers import set_aside
from cbir.verbs.prune import Pruned
from tests.collection.sample import METADATA, fill
from tests.commands import run
from tests.qdrant import GIVEN_KEY


@pytest.fixture
def engine(home: Path) -> EmbeddedEngine:
    return EmbeddedEngine(home / "collections", timeout=0)


@pytest.fixture
def filled(home: Path, pictures: Path) -> Path:
    """A home with collection `kept` and a run of it, and with a model and a run that nothing uses."""
    for name in ("kept", "gone"):
        cbir.ingest(pictures, collection=name, encoder="pca:values=2" if name == "gone" else "pixels")
        cbir.evaluate(name, queries=3)
    cbir.remove("gone")
    return home


def make_old(path: Path) -> Path:
    then = time.time() - ABANDONED_AFTER - 60
    for each in (*path.rglob("*"), path):
        os.utime(each, (then, then))
    return path


def names(pruned: Pruned) -> list[tuple[str, str]]:
    return sorted((each.kind, each.path.name.split("-")[0]) for each in pruned.unused)


def test_models_and_runs_that_nothing_uses_go_and_the_others_stay(filled: Path):
    done = run("prune", "--yes", "--json")
    document = json.loads(done.stdout)
    assert {(each["kind"], Path(each["path"]).name.split("-")[0], each["removed"]) for each in document["unused"]} == {
        ("model", "gone", True),
        ("run", "gone", True),
    }
    assert document["bytes"] == document["removed_bytes"] == sum(each["bytes"] for each in document["unused"]) > 0
    assert [path.name for path in (filled / "models").iterdir()] == ["kept"]
    assert [path.name.split("-")[0] for path in (filled / "runs").iterdir()] == ["kept"]
    assert "nothing in" in run("prune").stdout
    with cbir.open("kept") as searcher:
        assert len(searcher.search(next(Path(searcher.metadata.roots["pictures"]).rglob("*.png")), k=2)) == 2


def test_it_says_what_and_why_and_asks(filled: Path):
    done = run("prune", code=1)
    assert "no collection uses it" in done.stdout
    assert "collection 'gone' is gone" in done.stdout
    assert "--yes removes what is listed" in done.stderr
    assert "nothing was removed" in run("prune", "--dry-run").stderr
    assert len(list((filled / "models").iterdir())) == len(list((filled / "runs").iterdir())) == 2


def test_a_run_of_what_another_encoder_has_filled_since_is_of_no_use(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    cbir.evaluate(queries=3)
    assert not cbir.prune().unused
    cbir.ingest(pictures, encoder="hog", retrain=True)
    done = cbir.prune()
    assert names(done) == [("model", "pictures"), ("run", "pictures")]
    assert "filled by another encoder since" in next(each.reason for each in done.removed if each.kind == "run")
    assert [path.name for path in (home / "models").iterdir()] == ["pictures-2"]


def test_distorted_queries_and_comparisons(home: Path, pictures: Path):
    for label in ("c", "d"):
        shutil.copytree(pictures / "b", pictures / label)
    cbir.compare(pictures, encoders=["pixels", "color-histogram"], queries=4)
    cbir.evaluate_distorted("pictures-pixels", ["mirror"], queries=4)
    assert not cbir.prune().unused
    cbir.remove("pictures-pixels")
    # The other collection of the comparison is there, and can be searched.
    assert names(cbir.prune()) == [("model", "pictures"), ("run", "pictures"), ("run", "robustness")]
    cbir.remove("pictures-color-histogram")
    assert names(cbir.prune()) == [("model", "pictures"), ("run", "compare"), ("run", "pictures")]
    assert not any((home / "runs").iterdir())


def lost_model(home: Path) -> None:
    card = home / "collections" / "kept" / "collection.json"
    card.write_text("{")


def newer(home: Path) -> None:
    card = home / "collections" / "kept" / "collection.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "format": 99}))


def other_server(home: Path) -> None:
    (home / "locks" / "http-elsewhere-6333").mkdir(parents=True)
    (home / "locks" / "http-elsewhere-6333" / "gone.lock").touch()


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (lost_model, "which model collection 'kept' uses is not known"),
        (newer, "upgrade cbir"),
        (other_server, "collections on the server http-elsewhere-6333 may use them: name it with --qdrant-url"),
    ],
)
def test_while_it_is_not_known_what_uses_them_models_and_runs_stay(
    filled: Path, unknown: Callable[[Path], None], reason: str
):
    unknown(filled)
    done = run("prune", "--yes")
    assert reason in done.stderr
    assert len(list((filled / "models").iterdir())) == len(list((filled / "runs").iterdir())) == 2


def test_models_stay_while_a_collection_is_filled(filled: Path, engine: EmbeddedEngine):
    with engine.writing("new"):  # an ingest, which may be about to use the model
        done = cbir.prune()
    assert names(done) == [("run", "gone")]
    assert "'new' is being filled" in done.kept[str(filled / "models")]
    assert (filled / "models" / "gone").is_dir()
    assert not (filled / "collections" / "new").exists()


def test_a_model_that_is_wanted_after_it_was_shown_stays(filled: Path, engine: EmbeddedEngine):
    def approve(planned: Pruned) -> bool:
        engine.create("new", replace(METADATA, model="gone")).close()
        return True

    done = cbir.prune(approve=approve)
    assert [each.kind for each in done.removed] == ["run"]
    assert done.kept == {str(filled / "models" / "gone"): "used by now, or gone"}
    assert (filled / "models" / "gone").is_dir()


def test_a_model_that_is_wanted_in_the_last_moment_gets_its_name_back(
    filled: Path, engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
):
    locks = []

    def aside(bundle: Path) -> Path:
        locks.append(engine.writing("new"))
        locks[0].__enter__()  # an ingest that has seen the model, and has no collection yet
        return set_aside(bundle)

    monkeypatch.setattr("cbir.model.leftovers.set_aside", aside)
    done = cbir.prune()
    locks[0].__exit__(None, None, None)
    assert [each.kind for each in done.removed] == ["run"]
    assert sorted(path.name for path in (filled / "models").iterdir()) == ["gone", "kept"]


def test_a_model_whose_removal_was_killed_is_put_back_if_it_is_used_and_removed_if_not(filled: Path):
    for name in ("gone", "kept"):
        set_aside(filled / "models" / name)
    assert names(cbir.prune()) == [("partial", ".gone.unused"), ("run", "gone")]
    assert [path.name for path in (filled / "models").iterdir()] == ["kept"]


def test_damaged_and_foreign_things_stay(filled: Path):
    (filled / "models" / "gone" / "model.json").write_text("{")
    for folder in (filled / "models" / "mine", filled / "runs" / "mine", filled / "collections" / "mine"):
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        make_old(folder)
    (filled / "runs" / "ingest-report.jsonl").write_text("")
    assert names(cbir.prune()) == [("run", "gone")]
    assert (filled / "models" / "gone").is_dir()
    assert len(list(filled.rglob("notes.txt"))) == 3


@pytest.mark.parametrize("file", ["ingest-report.jsonl", "unreadable.jsonl"])
def test_what_an_ingest_reported_goes_with_its_collection(filled: Path, file: str):
    for name in ("gone", "kept"):
        (filled / "runs" / f"ingest-{name}").mkdir(exist_ok=True)
        (filled / "runs" / f"ingest-{name}" / file).write_text("{}\n")
    assert {each.path.name for each in cbir.prune().removed} >= {"ingest-gone", "gone"}
    assert (filled / "runs" / "ingest-kept" / file).is_file()


def test_what_stopped_processes_left_goes_once_it_is_old(home: Path, engine: EmbeddedEngine):
    engine.create("c", METADATA).close()
    half = [
        home / "models" / f".m.{os.getpid()}-0123abcd.partial",
        home / "runs" / f".r.png.{os.getpid()}-0123abcd.partial",
        new_run_folder(home / "runs", "c"),
    ]
    for folder in half:
        folder.mkdir(parents=True)
        (folder / "run.npz").touch()
    half.append(home / "collections" / "c" / f".collection.json.{os.getpid()}-0123abcd.partial")
    checkpoints = [home / "models" / ".mnist.training.npz", home / "models" / ".mnist.training-2.npz"]
    for file in (half[-1], *checkpoints):
        file.write_bytes(b"x" * 10_000)
    young = cbir.prune()
    assert not young.unused
    assert set(young.kept) == {str(path) for path in checkpoints}
    for path in (*half, *checkpoints):
        make_old(path)
    done = cbir.prune()
    assert {each.path for each in done.removed} == {*half, *checkpoints}
    assert not any(path.exists() for path in (*half, *checkpoints))
    assert not done.kept
    assert engine.names() == ["c"]


def test_runs_of_a_collection_stay_however_its_name_was_typed(filled: Path):
    for kept, typed in (("kept", "KEPT"), ("gone", "Gone")):
        (run,) = (filled / "runs").glob(f"{kept}-*")
        scores = json.loads((run / "scores.json").read_text())
        (run / "scores.json").write_text(json.dumps({**scores, "collection": typed}))
    (filled / "runs" / "ingest-KEPT").mkdir()
    (filled / "runs" / "ingest-KEPT" / "ingest-report.jsonl").touch()
    assert {each.path.name.split("-2")[0] for each in cbir.prune().unused if each.kind == "run"} == {"gone"}


def test_what_a_killed_process_was_writing_goes_at_once(filled: Path):
    gone = 2**22 + 1  # no process of Linux's
    (run,) = (filled / "runs").glob("kept-*")
    left = [
        filled / "models" / f".kept-2.{gone}-0123abcd.partial",
        filled / "models" / f".restored.{gone}-0123abcd.partial",
        filled / "collections" / "kept" / f".collection.json.{gone}-0123abcd.partial",
        filled / "runs" / f".r.png.{gone}-0123abcd.partial",
        run / f".scores.json.{gone}-0123abcd.partial",
    ]
    for path in left:
        path.touch()
    assert {each.path for each in cbir.prune().removed} >= set(left)
    assert not any(path.exists() for path in left)
    assert (run / "scores.json").is_file()


def test_shards_of_no_collection_go_and_those_in_use_stay(engine: EmbeddedEngine):
    with closing(engine.create("c", METADATA)) as collection:
        fill(collection, np.ones((3, 4), np.float32))
    (used,) = (engine.folder / "c").glob("shard-*")
    replaced, incomplete = used.with_name("shard-replaced"), engine.folder / "killed" / "shard-x"
    shutil.copytree(used, replaced)
    incomplete.mkdir(parents=True)
    (incomplete.parent / ".writing").touch()
    reading = edge.EdgeShard.load(str(replaced))  # by somebody who opened it before it was replaced
    assert [each.path for each in cbir.prune(approve=lambda _: False).unused] == [incomplete.parent]
    reading.close()
    with engine.writing("killed"):
        assert [each.path for each in cbir.prune(approve=lambda _: False).unused] == [replaced]
        incomplete.mkdir(exist_ok=True)
    incomplete.mkdir(parents=True, exist_ok=True)
    (incomplete.parent / ".writing").touch()
    done = cbir.prune()
    assert {each.path for each in done.removed} == {replaced, incomplete.parent}
    assert not replaced.exists()
    assert not incomplete.parent.exists()
    with closing(engine.open("c")) as collection:
        assert collection.count() == 3


def test_what_a_servers_collections_use_stays(filled: Path, served: ServedEngine, monkeypatch: pytest.MonkeyPatch):
    if GIVEN_KEY:
        monkeypatch.setenv("QDRANT_API_KEY", GIVEN_KEY)
    from cbir.collection.home import served_engine
    from cbir.core.settings import read_settings

    with closing(served_engine(read_settings(qdrant_url=served.location))) as here, here.writing("gone"):
        here.create("gone", replace(METADATA, model="gone")).close()
    # Without the server's name, nothing is known of it but that it was filled from here.
    assert not cbir.prune().unused
    done = cbir.prune(qdrant_url=served.location)
    assert names(done) == [("run", "gone")]  # that one measured another encoder
    monkeypatch.setenv("QDRANT_URL", served.location)
    served.server.client.create_collection("left@3", vectors_config={})
    assert not cbir.prune().unused
    assert "has no alias" in run("prune").stderr
    cbir.remove("gone")
    assert names(cbir.prune()) == [("model", "gone")]
    assert served.server.client.collection_exists("left@3")
