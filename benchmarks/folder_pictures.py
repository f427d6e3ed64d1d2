"""Folders of made pictures: small JPEGs, photographs of 12 megapixels, and a tree of empty files.

`python -m benchmarks.folder_pictures small|large|empty FOLDER COUNT` makes a folder, unless it is there: in a process
of its own, as the processes that are measured begin with the peak memory of the one that starts them. No two files are
the same; for most, the picture of another file follows another comment, so that a thousand photographs take seconds to
make and as long to read as any.
"""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cbir.core.workers import ordered_map

SMALL, LARGE = (160, 120), (4000, 3000)
#: Pictures that are drawn; the others are these once more, with other comments.
SMALL_DRAWN, LARGE_DRAWN = 2000, 20
IN_A_FOLDER = 1000


def small(place: Path, count: int) -> Path:
    """Return a folder of JPEGs of 160x120, in albums of 1,000."""
    return made(place, count, SMALL_DRAWN, lambda number: drawn(SMALL, number, grain=0))


def large(place: Path, count: int) -> Path:
    """Return a folder of JPEGs of 12 megapixels, some 3 MB each, as telephones and cameras make them."""
    return made(place, count, LARGE_DRAWN, lambda number: drawn(LARGE, number, grain=10))


def empty(place: Path, count: int) -> Path:
    """Return a folder of empty files with a picture's name, in folders of 1,000."""

    def make(building: Path) -> None:
        for path in paths(building, count):
            path.parent.mkdir(exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))

    return once(place, make)


def made(place: Path, count: int, drawn_ones: int, draw: Callable[[int], bytes]) -> Path:
    def make(building: Path) -> None:
        pictures = list(ordered_map(draw, range(min(count, drawn_ones))))
        for number, path in enumerate(paths(building, count)):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(commented(pictures[number % len(pictures)], number))

    return once(place, make)


def once(place: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder unless it is there whole."""
    if not place.is_dir():
        building = place.with_name(f"{place.name}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        make(building)
        building.rename(place)
    return place


def paths(folder: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        yield folder / f"album-{number // IN_A_FOLDER:04}" / f"IMG_{number:06}.jpg"


def drawn(size: tuple[int, int], number: int, grain: int) -> bytes:
    """Draw soft shapes, with the grain that fills a camera's files."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    if grain:
        noise = generator.integers(-grain, grain + 1, (size[1], size[0], 1), dtype=np.int16)
        picture = Image.fromarray(np.clip(np.asarray(picture, np.int16) + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def commented(jpeg: bytes, number: int) -> bytes:
    """Put a comment behind a JPEG's first two bytes."""
    text = f"picture {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


KINDS: dict[str, Callable[[Path, int], Path]] = {"small": small, "large": large, "empty": empty}

if __name__ == "__main__":
    kind, folder, number = sys.argv[1:]
    KINDS[kind](Path(folder), int(number))
