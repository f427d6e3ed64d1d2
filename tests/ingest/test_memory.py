"""An ingest holds some pictures at a time, however many there are."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

#: Pictures of 36 MB: as many as may be in work at once, and more.
SIZE, FEW, MANY = (4000, 3000), 6, 24
#: Bytes between two runs of the same: a sixth of what the pictures more would take.
NOISE = 100 << 20

INGEST = """
import sys
import cbir
report = cbir.ingest(sys.argv[1], encoder="color-histogram", collection="c")
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(report.ingested, int(peak) << 10)
"""


def peak_of(number: int, place: Path) -> int:
    """Return the bytes that a process holds at most which ingests so many pictures."""
    folder, (width, height) = place / "pictures", SIZE
    folder.mkdir(parents=True)
    for index in range(number):
        pixels = np.full((height, width, 3), index, np.uint8)
        pixels[: 100 * (index + 1), :200] = 255
        Image.fromarray(pixels).save(folder / f"{index}.bmp")
    environment = {**os.environ, "CBIR_HOME": str(place / "home"), "CBIR_PROCESSES": "0"}
    command = [sys.executable, "-c", INGEST, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    ingested, peak = map(int, done.stdout.split())
    assert ingested == number
    return peak


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says how much a process has held at most")
def test_memory_does_not_grow_with_the_folder(tmp_path: Path):
    assert peak_of(MANY, tmp_path / "many") < peak_of(FEW, tmp_path / "few") + NOISE
