"""Where commands are tortured: folders of pictures that change, a home, and what must be true of both at any moment."""

import hashlib
import os
import random
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np

from cbir.collection.embedded.engine import LOCK, EmbeddedEngine
from cbir.collection.interface import Engine
from cbir.collection.place import places_of
from tests.commands import run
from tests.conftest import picture

#: Content of a picture (its SHA-256) to where it is: folder that was ingested, and path in it.
Contents = dict[str, list[tuple[str, str]]]
#: The same content to where it is stored, and its feature.
Stored = dict[str, tuple[list[tuple[str, str]], np.ndarray]]

#: Learned from the pictures, within some tenths of a second.
ENCODER = "pca:values=16"
#: What other batches may change in a feature: sums are rounded in another order.
ROUNDED = 1e-4


class Ground:
    """Two folders of pictures and a home of their own.

    Parameters
    ----------
    base : Path
        An empty folder.
    chance : random.Random
    pictures : int
        How many to begin with.
    """

    def __init__(self, base: Path, chance: random.Random, pictures: int) -> None:
        self.base, self.chance = base, chance
        self.home = base / "home"
        self.roots = [base / "one", base / "two"]
        self._made = 0
        for _ in range(pictures):
            self._make(self.chance.choice(self.roots))

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a command."""
        return {"CBIR_HOME": str(self.home), "CBIR_PROCESSES": "1", **settings}

    def run(self, *arguments: object, code: int = 0) -> str:
        """Run a command to its end, in this process; return what it printed."""
        return run(*arguments, code=code, **self.environment()).stdout

    def embedded(self) -> Engine:
        """Return the engine of this home."""
        return EmbeddedEngine(self.home / "collections")

    def change(self) -> None:
        """Add, remove, move, copy and touch some pictures of each folder."""
        for root in self.roots:
            files = sorted(root.glob("*/*.png"))
            for file in self.chance.sample(files, max(1, len(files) // 8)):
                what = self.chance.choice(["remove", "move", "copy", "touch", "replace"])
                if what == "remove":
                    file.unlink()
                elif what == "move":
                    file.rename(file.with_name(f"moved {file.name[-12:]}"))
                elif what == "copy":
                    shutil.copy2(file, file.with_name(f"copy {self._number()}.png"))
                elif what == "touch":
                    os.utime(file, ns=(0, self._number()))
                else:
                    picture(self._number(), (12, 12)).save(file)
            for _ in range(len(files) // 8):
                self._make(root)

    def contents(self) -> Contents:
        """Return what is in the folders."""
        found: Contents = {}
        for root in self.roots:
            for file in sorted(root.glob("*/*.png")):
                sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
                found.setdefault(sha256, []).append((root.name, file.relative_to(root).as_posix()))
        return {sha256: sorted(places) for sha256, places in found.items()}

    def assert_nothing_lost(self, before: Stored, engine: Engine, name: str) -> None:
        """Check that all can be read, each content once, and that those whose pictures are still there are stored."""
        now, there = stored(engine, name), self.contents()
        lost = [sha256 for sha256 in before if sha256 in there and sha256 not in now]
        assert not lost, f"{len(lost)} of {len(before)} points are lost"

    def assert_complete(self, engine: Engine, name: str) -> Stored:
        """Check that a collection is what its folders are; return it."""
        now, there = stored(engine, name), self.contents()
        assert {sha256: places for sha256, (places, _) in now.items()} == there
        return now

    def assert_unbroken(self, engine: Engine, name: str) -> None:
        """Check that a collection is what one run that nobody interrupted makes of its folders."""
        now = self.assert_complete(engine, name)
        model = self.home / "models" / engine.metadata(name).model
        other = self.base / "unbroken"
        shutil.rmtree(other, ignore_errors=True)
        run("ingest", *self.roots, "--model", model, "-c", "unbroken", CBIR_HOME=str(other))
        assert_same(now, stored(EmbeddedEngine(other / "collections"), "unbroken"))

    def assert_tidy(self) -> None:
        """Check that once nothing is at work, nothing is left of what was killed."""
        self.run("prune", "--yes")
        hidden = [path for path in (*self.base.glob(".*"), *self.home.rglob(".*")) if path.name != LOCK]
        assert not hidden, f"left behind: {hidden}"
        built = list(self.home.rglob("temp_segments/*"))
        assert not built, f"left behind by a killed index build: {built}"

    def _make(self, root: Path) -> None:
        folder = root / self.chance.choice("abc")
        folder.mkdir(parents=True, exist_ok=True)
        number = self._number()
        picture(number, (12, 12)).save(folder / f"{number}.png")

    def _number(self) -> int:
        self._made += 1
        return self._made


def stored(engine: Engine, name: str) -> Stored:
    """Return what is stored; each content must be there once, with a feature."""
    found: Stored = {}
    with closing(engine.open(name)) as collection:
        for page in collection.scroll():
            for payload, vector in zip(page.payloads, page.vectors, strict=True):
                sha256 = payload["sha256"]
                assert sha256 not in found, f"{payload['uri']} is stored twice"
                assert np.isfinite(vector).all()
                places = sorted((place.source, place.uri) for place in places_of(payload))
                found[sha256] = (places, vector.copy())
        assert collection.count() == len(found)
    return found


def assert_same(found: Stored, expected: Stored) -> None:
    """Check that two collections have the same contents in the same places, with the same features."""
    assert {sha256: places for sha256, (places, _) in found.items()} == {
        sha256: places for sha256, (places, _) in expected.items()
    }
    for sha256, (places, vector) in expected.items():
        np.testing.assert_allclose(found[sha256][1], vector, atol=ROUNDED, err_msg=str(places))
