"""Which model a collection has: its own, one that is given, or one that would be trained again as it is."""

import shutil
from pathlib import Path

import pytest

import cbir
from cbir.model.bundle import copy_bundle, read_bundle
from tests.conftest import picture


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """The same network with other weights."""
    from cbir.model.bundle import write_bundle
    from cbir.model.method import Learned
    from cbir.model.networks.autoencoder import INPUT, article_autoencoder

    return write_bundle(tmp_path / "other", Learned(network=article_autoencoder(42)), INPUT).path


def test_another_encoder_is_refused_naming_both(home: Path, pictures: Path, bundle: Path, other_bundle: Path):
    cbir.ingest(pictures, model=bundle)
    with pytest.raises(cbir.CbirError) as raised:
        cbir.ingest(pictures, model=other_bundle)
    assert read_bundle(bundle).fingerprint in str(raised.value)
    assert read_bundle(other_bundle).fingerprint in str(raised.value)
    assert [b.name for b in cbir.overview().models] == ["pictures"]
    assert cbir.ingest(pictures).unchanged == 6


def test_a_search_with_another_encoder_is_refused(home: Path, pictures: Path, bundle: Path, other_bundle: Path):
    cbir.ingest(pictures, model=bundle)
    (home / "models" / "pictures").rename(home / "aside")
    with pytest.raises(cbir.CbirError, match="which is not on this machine"):
        cbir.open("pictures")
    copy_bundle(read_bundle(other_bundle), home / "models" / "pictures")
    with pytest.raises(cbir.CbirError, match="was filled by encoder"):
        cbir.open("pictures")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_keras_file_is_adopted_once(home: Path, pictures: Path, bundle: Path, tmp_path: Path, suffix: str):
    model = read_bundle(bundle).autoencoder()
    model.save(tmp_path / f"mine{suffix}")
    report = cbir.ingest(pictures, model=tmp_path / f"mine{suffix}")
    assert (report.points, report.trained) == (6, False)
    assert report.model.path == home / "models" / "pictures"
    assert report.model.fingerprint == read_bundle(bundle).fingerprint
    assert cbir.ingest(pictures, model=tmp_path / f"mine{suffix}").unchanged == 6
    assert [b.name for b in cbir.overview().models] == ["pictures"]


def test_retrain_trains_also_when_there_is_only_a_model(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    shutil.rmtree(home / "collections" / "pictures")
    (home / "models" / "pictures" / "encoder.onnx").write_bytes(b"damaged")
    report = cbir.ingest(pictures, retrain=True, encoder="pca")
    assert (report.trained, report.points) == (True, 6)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_model_that_a_removed_collection_left_is_used_only_if_training_would_make_it_again(
    home: Path, pictures: Path, damaged: bool
):
    first = cbir.ingest("digits", collection="pictures", encoder="pca:values=3", limit=20)
    shutil.rmtree(home / "collections" / "pictures")
    for encoder in ("pca:values=3", "pca:values=5"):
        report = cbir.ingest(pictures, encoder=encoder)
        assert (report.trained, report.model.metadata["trained_on"]) == (True, str(pictures))
        shutil.rmtree(home / "collections" / "pictures")
    if damaged:
        (first.model.path / "encoder.npz").write_bytes(b"damaged")
    again = cbir.ingest("digits", collection="pictures", encoder="pca:values=3", limit=20)
    assert (again.trained, again.model.fingerprint) == (damaged, first.model.fingerprint)


def test_a_model_of_another_size_is_not_taken_for_the_one_asked_for(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    shutil.rmtree(home / "collections" / "pictures")
    assert cbir.ingest(pictures, encoder="pixels", size=64).model.preprocessing.height == 64


def test_a_lost_model_is_given_back_with_model(home: Path, pictures: Path, bundle: Path):
    cbir.ingest("digits", model=bundle, limit=3)
    cbir.ingest(pictures, model=bundle)  # the same encoder: one copy serves both
    shutil.rmtree(home / "models" / "digits")
    with pytest.raises(cbir.CbirError, match="which is not on this machine"):
        cbir.open("pictures")
    cbir.ingest(pictures, model=bundle)
    with cbir.open("pictures") as searcher:
        assert len(searcher.search(picture(), 3)) == 3


def test_another_collection_s_model_is_not_taken_for_its_name(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    assert cbir.ingest(pictures, retrain=True, encoder="pca").model.name == "pictures-2"
    assert cbir.ingest("digits", collection="pictures-2", encoder="pca", limit=20).trained


def test_a_model_trained_before_on_the_same_images_serves_another_collection(home: Path, pictures: Path):
    assert cbir.ingest(pictures, encoder="pca").trained
    again = cbir.ingest(pictures, collection="again", encoder="pca")
    assert (again.trained, again.model.name) == (False, "pictures")
    assert cbir.ingest(pictures, collection="other", encoder="pca:values=2").trained


def test_a_collection_keeps_its_encoder_and_refuses_another_kind(home: Path, pictures: Path):
    assert cbir.ingest(pictures, encoder="pixels").model.kind == "pixels"
    picture(7).save(pictures / "b" / "new.png")
    assert cbir.ingest(pictures).ingested == 1
    with pytest.raises(cbir.CbirError, match=r"filled by encoder 'pixels' at 28x28, not color-histogram.*--retrain"):
        cbir.ingest(pictures, encoder="color-histogram")
    with pytest.raises(cbir.CbirError, match="not pixels at 64x64"):
        cbir.ingest(pictures, encoder="pixels", size=64)
    again = cbir.ingest(pictures, retrain=True)
    assert (again.model.kind, again.points) == ("pixels", 7)
    assert cbir.ingest(pictures, encoder="color-histogram", retrain=True).model.kind == "color-histogram"
