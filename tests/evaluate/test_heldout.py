"""Queries that the sources of a collection hold back."""

from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.ingest.sources.source import SourceError


def test_a_dataset_that_is_gone_is_missed_and_a_folder_is_not(
    home: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A dataset's scores are those of its own queries, or none; a folder may be gone for good."""
    monkeypatch.setenv("CBIR_DATA", str(tmp_path / "data"))
    stored = tmp_path / "data" / "mnist" / "mnist.npz"
    stored.parent.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28), np.uint8)
    labels = np.arange(8) % 2
    np.savez(stored, x_train=images[:6], y_train=labels[:6], x_test=images[6:], y_test=labels[6:])
    cbir.ingest("mnist", encoder="pixels")
    made = cbir.evaluate("mnist")
    assert sorted(made.run.query_uris) == ["mnist:test/0", "mnist:test/1"]
    assert cbir.evaluate("mnist", queries_from="mnist").scores == made.scores
    stored.write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"mnist\.npz"):
        cbir.evaluate("mnist")
    named_alike = pictures.rename(tmp_path / "mnist")
    cbir.ingest(named_alike, encoder="pixels", collection="folder")
    assert cbir.evaluate("folder").scores.queries == 6
    named_alike.rename(tmp_path / "moved")
    assert cbir.evaluate("folder").as_json()["leave_one_out"]
