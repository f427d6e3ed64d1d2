"""Queries told from what is stored, by their files and by their pixels, whatever they are called."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import cbir
from cbir.evaluate.twins import content_digest
from tests.conftest import picture

#: Few pixels of few values, so that copies are common; shapes of the same bytes too.
SMALL = st.sampled_from([(1, 2), (2, 1), (1, 2, 3)]).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


def in_colour(image: np.ndarray) -> np.ndarray:
    """A grey picture is the same in colour."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@given(SMALL, SMALL)
def test_pictures_are_the_same_if_their_colours_are(one: np.ndarray, other: np.ndarray):
    same = content_digest(Image.fromarray(one)) == content_digest(Image.fromarray(other))
    assert same == np.array_equal(in_colour(one), in_colour(other))


def test_pictures_with_palettes_are_compared_by_their_colours():
    colours = Image.merge("RGB", [picture(seed).point(lambda value: value // 64 * 64) for seed in range(3)])
    palette = colours.quantize(64)
    assert np.array_equal(np.asarray(palette.convert("RGB")), np.asarray(colours))
    other = palette.copy()
    other.putpalette(bytes(reversed(palette.getpalette() or [])))
    deep = Image.fromarray(np.asarray(picture(4)).astype(np.uint16) * 7)
    assert content_digest(palette) == content_digest(colours)
    assert len({content_digest(each) for each in (palette, other, deep)}) == 3


def saved(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    for name, image in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
    return folder


@pytest.mark.parametrize("smooth", [0, 2])
def test_copies_are_left_out_and_nothing_else_is_opened(home: Path, tmp_path: Path, opened: list[bytes], smooth: int):
    stored = saved(tmp_path / "stored", {f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(40)})
    cbir.ingest(stored, encoder="pixels", smooth=smooth)
    asked = saved(
        tmp_path / "asked",
        {"a/new.png": picture(50), "b/copy.bmp": picture(3), "b/again.jpg": picture(5), "a/other.png": picture(51)},
    )
    (asked / "b" / "same.png").write_bytes((stored / "a" / "4.png").read_bytes())
    (asked / "b" / "damaged.png").write_text("no picture")
    (stored / "a" / "4.png").unlink()  # its hash is stored
    opened.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = cbir.evaluate("stored", queries_from=asked)
    told = [str(warning.message) for warning in said if "in the database too" in str(warning.message)]
    by_file, by_pixels = (f"1 of {n} queries are in the database too: left out" for n in (6, 4))
    unlike = ["again.jpg", "new.png", "other.png"]
    if smooth:  # no stored feature is a copy's
        assert (told, len(opened)) == ([by_file], 4)
        assert sorted(Path(uri).name for uri in made.run.query_uris) == sorted([*unlike, "copy.bmp"])
    else:
        assert (told, len(opened)) == ([by_file, by_pixels], 4 + 2)  # copy and original, to compare them
        assert sorted(Path(uri).name for uri in made.run.query_uris) == unlike


def test_where_only_copies_are_asked_there_is_nothing_to_evaluate(home: Path, tmp_path: Path):
    cbir.ingest(saved(tmp_path / "stored", {f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(4)}), encoder="pixels")
    asked = saved(tmp_path / "asked", {"a/0.bmp": picture(0), "b/1.bmp": picture(1)})
    with pytest.raises(cbir.CbirError, match="all 2 queries are in the database too: hold out other pictures"):
        cbir.evaluate("stored", queries_from=asked)
