"""The README's strip of photographs: edited copies of pictures that scikit-image and matplotlib bundle, and their hits.

`python -m benchmarks figures photographs` (`pip install scikit-image` first). In:
the bundled pictures that are in the public domain or CC0, by what scikit-image
says of each (`grace_hopper.jpg`: the US Navy). Out: a folder of them that
`cbir ingest` and `cbir search --save` are given, and the picture that the latter writes.
"""

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.setting import home, timed
from cbir.model.distortion import distortions, workable

#: Package and folder of pictures, and the pictures.
BUNDLED = {
    ("skimage", "data"): (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "cell.png",
        "chelsea.png",
        "clock_motion.png",
        "coffee.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "horse.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "retina.jpg",
        "rocket.jpg",
    ),
    ("matplotlib", "mpl-data/sample_data"): ("grace_hopper.jpg",),
}
#: A query's name, the picture that it is made of, and the edits, one after the other.
QUERIES = {
    "screenshot.png": ("coffee.png", ["screenshot"]),
    "grey detail.png": ("chelsea.png", ["grey", "crop=0.4"]),
    "mirrored.png": ("astronaut.png", ["mirror", "crop=0.7", "bright=1.5"]),
    "phone.png": ("rocket.jpg", ["phone"]),
}
HITS = 4
#: Of the edits: with it, the cuts show faces.
SEED = 2


def draw(out: Path) -> None:
    """Ingest the pictures, search for the edited ones, and write queries and hits to `out`."""
    with home(), tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for (package, under), names in BUNDLED.items():
            for name in names:
                shutil.copy(bundled(package) / under / name, folder)
        queries = [edited(folder / original, edits, Path(place) / name) for name, (original, edits) in QUERIES.items()]
        out.parent.mkdir(parents=True, exist_ok=True)
        timed(["-m", "cbir", "ingest", str(folder)])
        timed(["-m", "cbir", "search", *map(str, queries), "-k", str(HITS), "--save", str(out)])


def bundled(package: str) -> Path:
    """Return the folder of an installed package."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        sys.exit(f"the strip of photographs needs {package}: pip install scikit-image matplotlib")
    return Path(found.origin).parent


def edited(original: Path, edits: list[str], path: Path) -> Path:
    """Write an edited copy of a picture."""
    with Image.open(original) as opened:
        picture = workable(opened)
        for edit in edits:
            for distort in distortions([edit]):
                picture = distort(picture, np.random.default_rng(SEED))
        picture.save(path)
    return path
