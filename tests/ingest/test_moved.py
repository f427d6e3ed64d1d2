"""A folder is the stored one, moved, if most of its pictures are."""

import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.core.errors import CbirWarning
from tests.conftest import picture


@pytest.mark.parametrize(("same", "taken"), [(3, False), (4, True)])
def test_a_folder_is_the_stored_one_if_more_than_half_of_its_pictures_are(
    home: Path, tmp_path: Path, same: int, taken: bool
):
    def filled(folder: Path, numbers: Iterable[int]) -> Path:
        folder.mkdir(parents=True)
        for number in numbers:
            picture(number).save(folder / f"{number}.png")
        return folder

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
