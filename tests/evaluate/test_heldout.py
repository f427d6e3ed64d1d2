"""Queries told from what is stored by their pixels, whatever they are called."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import cbir
from cbir.core.errors import CbirWarning
from cbir.evaluate.heldout import disjoint
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import Item, SourceError
from tests.conftest import picture

#: Few pixels of few values, so that copies are common; shapes of the same bytes too.
SMALL = st.sampled_from([(1, 2), (2, 1), (1, 2, 3)]).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


def items(name: str, images: list[np.ndarray]) -> list[Item]:
    return [
        Item(f"{name}/{n}", None, name, lambda image=image: Image.fromarray(image)) for n, image in enumerate(images)
    ]


def in_colour(image: np.ndarray) -> np.ndarray:
    """A grey picture is the same in colour."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@settings(deadline=None)
@given(st.lists(SMALL, max_size=8), st.lists(SMALL, max_size=8))
def test_queries_equal_to_a_stored_picture_are_left_out(asked: list[np.ndarray], stored: list[np.ndarray]):
    queries = items("queries", asked)
    seen = [in_colour(image) for image in stored]
    expected = [
        query
        for query, image in zip(queries, asked, strict=True)
        if not any(np.array_equal(in_colour(image), s) for s in seen)
    ]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if queries and not expected:
            with pytest.raises(SourceError, match="hold out other pictures"):
                disjoint(queries, items("database", stored))
            return
        assert disjoint(queries, items("database", stored)) == expected
    left_out = len(asked) - len(expected)
    message = f"{left_out} of {len(asked)} queries are in the database too: left out"
    assert [str(warning.message) for warning in said] == ([message] if left_out else [])


def test_a_copy_in_another_file_is_found_and_a_damaged_file_is_no_copy(tmp_path: Path):
    for name, seed in (("database/a.png", 1), ("database/b.png", 2), ("queries/c.png", 2), ("queries/d.png", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(seed).save(tmp_path / name, compress_level=seed)
    for part in ("database", "queries"):
        (tmp_path / part / "x.png").write_text("no picture")
    source = FolderSource(tmp_path)
    with pytest.warns(CbirWarning, match="1 of 3 queries"):
        kept = disjoint(source.queries(), source.items())
    assert [Path(query.uri).name for query in kept] == ["d.png", "x.png"]


def test_pictures_with_palettes_are_compared_by_their_colours():
    colours = Image.merge("RGB", [picture(seed).point(lambda value: value // 64 * 64) for seed in range(3)])
    palette = colours.quantize(64)
    assert np.array_equal(np.asarray(palette.convert("RGB")), np.asarray(colours))
    other = palette.copy()
    other.putpalette(bytes(reversed(palette.getpalette() or [])))
    deep = Image.fromarray(np.asarray(picture(4)).astype(np.uint16) * 7)
    shown = (palette, other, deep)
    named = [Item(f"queries/{n}", None, "queries", lambda image=image: image) for n, image in enumerate(shown)]
    with pytest.warns(CbirWarning, match="1 of 3 queries"):
        assert disjoint(named, [Item("database/0", None, "database", lambda: colours)]) == named[1:]


def test_without_queries_no_picture_is_opened():
    def refused() -> Image.Image:
        raise AssertionError

    assert disjoint([], [Item("database/0", None, "database", refused)]) == []


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
