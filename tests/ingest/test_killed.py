"""A process that is killed at any moment leaves nothing that the next run does not finish or settle."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.errors import CollectionError
from tests.conftest import picture
from tests.ingest.test_in_step import consistent, stored

#: Enough to take some seconds, in some batches.
PICTURES = 900


def change(root: Path) -> None:
    """Move, copy, replace, swap and remove some hundred files."""
    files = sorted(root.glob("*/*.png"))
    (root / "a").rename(root / "renamed")
    files = sorted(root.glob("*/*.png"))
    for number, file in enumerate(files):
        kind = number % 9
        if kind == 0:
            picture(5000 + number).save(file)
        elif kind == 1:
            file.unlink()
        elif kind == 2:
            shutil.copy2(file, file.with_name(f"copy of {file.name}"))
        elif kind == 3:
            other = files[number + 1]
            other.rename(root / "between")
            file.rename(other)
            (root / "between").rename(file)
        elif kind == 5:
            os.utime(file, ns=(number, number))


def killed(root: Path, seconds: float, *arguments: str) -> bool:
    """Start an ingest, and kill it after some seconds; tell whether it had not ended by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cbir", "ingest", str(root), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CBIR_PROCESSES": "0"},
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0
    return False


#: An ingest that kills itself in its n-th change of the collection, half of which is done.
SUICIDE = """
import os, signal, sys
import cbir
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.ingest.read import read

sys.modules["cbir.ingest.read"].BATCH = 16
left = int(sys.argv[1])

def dying(name):
    change = getattr(EmbeddedCollection, name)
    def changed(self, ids, *rest):
        global left
        left -= 1
        if not left:
            half = len(ids) // 2
            change(self, ids[:half], *(each[:half] for each in rest))
            os.kill(os.getpid(), signal.SIGKILL)
        change(self, ids, *rest)
    setattr(EmbeddedCollection, name, changed)

remember = EmbeddedCollection.remember
def remembered(self, metadata):
    if sys.argv[5] == "at the end" and self.count() and metadata.ingested != self.metadata.ingested:
        os.kill(os.getpid(), signal.SIGKILL)
    remember(self, metadata)
EmbeddedCollection.remember = remembered

for name in ("upsert", "replace_payloads", "delete"):
    dying(name)
cbir.ingest(sys.argv[2], model=sys.argv[3], collection=sys.argv[4], prune=True, force=True)
"""


def dies(root: Path, model: str, change: int, collection: str = "pictures", at: str = "") -> bool:
    """Ingest until a change of the collection, or `at the end`; tell whether it came to that."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SUICIDE, str(change), str(root), model, collection, at],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CBIR_PROCESSES": "0"},
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return bool(done.returncode)


def test_what_is_killed_in_the_middle_of_changes_is_what_an_unbroken_run_makes(home: Path, tmp_path: Path):
    root = tmp_path / "pictures"
    for number in range(120):
        folder = root / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        picture(number % 110).save(folder / f"{number}.png")
    cbir.ingest(root, collection="other", encoder="pixels", limit=10)
    model = str(home / "models" / "other")
    deaths = 0
    for round_ in range(2):
        for step in range(1, 5):
            deaths += dies(root, model, step)
        if not round_:
            consistent(cbir.ingest(root, model=model))
            change(root)
    assert deaths >= 6
    consistent(cbir.ingest(root, model=model, prune=True, force=True))
    again = consistent(cbir.ingest(root))
    assert (again.unchanged, again.gone) == (again.found, 0)
    consistent(cbir.ingest(root, collection="unbroken", model=model))
    assert stored(home, "pictures") == stored(home, "unbroken")


def test_how_light_backgrounds_are_covers_all_points_whenever_a_process_was_killed(home: Path, tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    for number, root in enumerate((one, other)):
        root.mkdir()
        for seed in range(40):
            light = 255 - 2 * seed if number else seed
            Image.new("L", (28, 28), light).save(root / f"{seed}.png")
    model = str(cbir.ingest(one, collection="unbroken", encoder="pixels", limit=1).model.path)
    cbir.ingest(one, collection="unbroken", model=model)
    cbir.ingest(other, collection="unbroken", model=model)
    engine = EmbeddedEngine(home / "collections")

    assert dies(one, model, 2, "one")
    assert engine.metadata("one").sources == ("one",)
    for _ in range(2):
        assert dies(one, model, 99, "one", "at the end")
    cbir.ingest(one, collection="one")  # all unchanged by now
    assert engine.metadata("one").background == pytest.approx((19.5 / 255, np.arange(40).std() / 255, 40), abs=1e-4)
    assert dies(other, model, 2, "one")
    assert engine.metadata("one").sources == ("one", "other")
    with pytest.raises(CollectionError, match=f"holds {other}, which retraining on {one} would drop"):
        cbir.ingest(one, collection="one", retrain=True)
    cbir.ingest(other, collection="one")
    assert engine.metadata("one").background == pytest.approx(engine.metadata("unbroken").background)
    next(one.iterdir()).unlink()
    cbir.ingest(one, collection="one", prune=True)
    assert (engine.metadata("one").background or (0, 0, 0))[2] == 79


@pytest.mark.parametrize("seed", range(3))
def test_what_is_killed_a_few_times_is_what_an_unbroken_run_makes(home: Path, tmp_path: Path, seed: int):
    generator = random.Random(seed)
    root = tmp_path / "pictures"
    for number in range(PICTURES):
        folder = root / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        picture(number % (PICTURES - 50)).save(folder / f"{number}.png")
    clock = time.perf_counter()
    cbir.ingest(root, collection="timed", encoder="pixels")
    whole = time.perf_counter() - clock
    shutil.rmtree(home / "collections")
    model = str(next((home / "models").iterdir()))
    start_up = 1.5 * whole  # of a process, and what else a busy machine does
    for _ in range(2):
        killed(root, generator.uniform(0.3, whole + start_up), "--model", model)
    change(root)
    for _ in range(2):
        killed(root, generator.uniform(0.3, whole + start_up), "--model", model, "--prune", "--force")
    report = consistent(cbir.ingest(root, model=model, prune=True, force=True))
    again = consistent(cbir.ingest(root))
    assert (again.unchanged, again.gone) == (again.found, 0)
    consistent(cbir.ingest(root, collection="unbroken", model=model))
    assert stored(home, "pictures") == stored(home, "unbroken")
    assert report.points == again.points
