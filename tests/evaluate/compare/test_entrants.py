"""The names of a comparison's collections."""

from pathlib import Path

from cbir.core.names import is_valid_name
from cbir.evaluate.compare.entrants import entrants
from cbir.ingest.sources.catalogue import open_source
from tests.conftest import picture


def test_collections_of_a_folder_with_a_long_name_have_names_that_tell_the_encoders_apart(tmp_path: Path):
    folder = tmp_path / ("ภาพถ่าย" * 12)
    for number, label in enumerate(("a", "b")):
        (folder / label).mkdir(parents=True)
        picture(number).save(folder / label / "1.png")
    source = open_source(str(folder))
    assert is_valid_name(source.name)
    compared = entrants(source, ["pixels", "pca:values=32", "pca:values=64"], {})
    names = [each.collection(source, 500) for each in compared]
    assert len(set(names)) == 3
    assert all(map(is_valid_name, names))
    assert all(name.startswith("ภาพถ่าย" * 5) for name in names)
