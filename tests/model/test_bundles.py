import shutil
from pathlib import Path
from typing import Any

import pytest

from cbir.model import bundles as module
from cbir.model.bundle import Bundle, copy_bundle, read_bundle
from cbir.model.bundles import adopt_bundle, bundle_of, bundle_path, bundles, find_bundle, free_path, installed
from cbir.model.errors import ModelError
from cbir.model.leftovers import leftovers


@pytest.fixture
def models(bundle: Path, tmp_path: Path) -> Path:
    """A folder with a bundle, a damaged one, an incomplete one and something else."""
    folder = tmp_path / "models"
    for name in ("b", ".unfinished", "damaged"):
        shutil.copytree(bundle, folder / name)
    (folder / "damaged" / "model.json").write_text("{}")
    (folder / "notes.txt").touch()
    return folder


def test_bundles_are_listed_without_the_damaged_and_the_unfinished(models: Path):
    assert [found.name for found in bundles(models)] == ["b"]
    assert bundles(models / "missing") == []


def test_a_bundle_is_found_by_its_fingerprint_if_it_can_be_loaded(models: Path, bundle: Path):
    fingerprint = read_bundle(bundle).fingerprint
    found = find_bundle(models, fingerprint)
    assert found is not None
    assert found.name == "b"
    assert find_bundle(models, "0123456789abcdef") is None
    (models / "b" / "encoder.onnx").unlink()
    assert find_bundle(models, fingerprint) is None


def test_a_collection_s_bundle_is_read_or_named(models: Path):
    assert bundle_of(models, "photos", "b", "0123").name == "b"
    with pytest.raises(ModelError, match=r"'photos' was filled by model 'lost' \(encoder 0123\).*--model PATH"):
        bundle_of(models, "photos", "lost", "0123")


def test_a_bundle_from_elsewhere_is_copied_once_and_only_if_it_is_wanted(bundle: Path, tmp_path: Path):
    asked: list[str] = []

    def refuse(fingerprint: str) -> None:
        raise ModelError(f"{fingerprint} is another")

    models = tmp_path / "models"
    with pytest.raises(ModelError, match="is another"):
        adopt_bundle(models, "mine", bundle, refuse)
    assert not models.exists()
    first, second = (adopt_bundle(models, "mine", bundle, asked.append) for _ in range(2))
    assert asked == [read_bundle(bundle).fingerprint] * 2
    assert first.path == second.path == models / "mine"
    with pytest.raises(ModelError, match="is not a model"):
        adopt_bundle(models, "mine", bundle / "model.json", asked.append)


def test_two_that_install_one_model_at_once_share_it(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The other is faster: it comes between the look for a free name and the copy that takes it."""
    models = tmp_path / "models"
    look = module.find_bundle

    def and_then_the_other_is_faster(*arguments: Any) -> Bundle | None:
        found = look(*arguments)
        if found is None:
            shutil.copytree(bundle, models / "mine")
        return found

    monkeypatch.setattr(module, "find_bundle", and_then_the_other_is_faster)
    assert adopt_bundle(models, "mine", bundle, lambda _: None).path == models / "mine"
    assert [path.name for path in models.iterdir()] == ["mine"]


def test_two_that_learn_at_once_have_a_model_each(bundle: Path, tmp_path: Path):
    models = tmp_path / "models"

    def write(path: Path) -> Bundle:
        if path.name == "mine":  # the other is faster
            shutil.copytree(bundle, path)
        return copy_bundle(read_bundle(bundle), path)

    assert installed(models, "mine", None, write).name == "mine-2"
    assert sorted(path.name for path in models.iterdir()) == ["mine", "mine-2"]


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path):
    assert free_path(tmp_path, "digits").name == "digits"
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits-2").touch()
    assert free_path(tmp_path, "digits").name == "digits-3"


def test_a_model_has_one_name_in_any_case_and_unicode_form(models: Path):
    """A home may have been copied from a file system that spells names in another way."""
    (models / "b").rename(models / "Cafe\u0301")
    assert bundle_of(models, "photos", "caf\u00e9", "0123").path == models / "Cafe\u0301"
    assert bundle_path(models, "other") == models / "other"
    assert free_path(models, "CAF\u00c9") == models / "CAF\u00c9-2"
    assert free_path(models, "con") == models / "con-pictures"
    assert not [left for left in leftovers(models, ["caf\u00c9"]) if left.kind == "model"]
    assert [left.path.name for left in leftovers(models, ["cafe"]) if left.kind == "model"] == ["Cafe\u0301"]
