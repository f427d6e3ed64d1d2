"""A process that is killed at any moment leaves nothing that the next run does not finish or settle."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cbir
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
