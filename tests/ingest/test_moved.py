"""A folder is the stored one, moved, if most of its pictures are."""

import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.core.errors import CbirWarning
from cbir.ingest.moved import known_in
from cbir.ingest.sources.folder import FolderSource
from tests.conftest import picture


def filled(folder: Path, numbers: Iterable[int]) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        picture(number).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(("same", "taken"), [(3, False), (4, True)])
def test_a_folder_is_the_stored_one_if_more_than_half_of_its_pictures_are(
    home: Path, tmp_path: Path, same: int, taken: bool
):
    stored = filled(tmp_path / "stored" / "photos", range(6))
    for source in (stored, filled(tmp_path / "others", range(20, 40))):  # how many others are there does not matter
        cbir.ingest(source, collection="c", encoder="pixels")
    shutil.rmtree(stored)
    new = filled(tmp_path / "new" / "photos", [*range(same), *range(10, 16 - same)])
    with pytest.warns(CbirWarning, match="no longer exists") if taken else nullcontext():
        cbir.ingest(new, collection="c")
    roots = EmbeddedEngine(home / "collections").metadata("c").roots
    assert roots["photos"] == str(new if taken else stored)
    assert roots.get("photos-2") == (None if taken else str(new))


@pytest.mark.parametrize("damaged", [False, True])
def test_what_cannot_be_read_speaks_for_nothing(home: Path, tmp_path: Path, damaged: bool):
    stored = filled(tmp_path / "stored" / "photos", range(6))
    cbir.ingest(stored, collection="c", encoder="pixels")
    shutil.rmtree(stored)
    new = filled(tmp_path / "new" / "photos", [*range(4), 10, 11])
    source = FolderSource(new)
    if damaged:  # as it was named: whoever opens it to fill it is told
        shutil.rmtree(next((home / "collections" / "c").glob("shard-*")))
    else:  # three are left of six
        (new / "0.png").unlink()
    engine = EmbeddedEngine(home / "collections")
    known = known_in(engine, "c", engine.metadata("c"), source)
    assert known.name == ("photos" if damaged else "photos-2")
