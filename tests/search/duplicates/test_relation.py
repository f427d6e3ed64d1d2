"""An edited copy is told from another shot of the same motif, and both from a stranger."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from cbir.model.distortion import COPIES, Distortion
from cbir.model.edited import edited
from cbir.search.duplicates.alignment import aligned
from cbir.search.duplicates.look import Look, look, mirrored
from cbir.search.duplicates.relation import ALIKE, EDITED, described, relation
from tests.search.duplicates.scenes import scene

WORDS = {
    "a quarter of the size": "smaller",
    "brighter by half": "partly covered or burnt out",
    "grey": "in grey",
    "mirrored": "mirrored",
    "70% by 70%, off centre": "a part of it, 49%",
    "the middle 40% by 40%": "a part of it, 16%",
    "turned by 10 degrees, black corners": "turned by 10 degrees",
    "turned by 90 degrees": "turned by 90 degrees",
    "a caption laid over": "partly covered or burnt out",
    "screenshot of a window": "with something around it",
}


@pytest.fixture(scope="module")
def original() -> Image.Image:
    return scene(1)


@pytest.fixture(scope="module")
def seen(original: Image.Image) -> Look:
    return look(original)


@pytest.mark.parametrize(("name", "way"), COPIES, ids=[name for name, _ in COPIES])
def test_every_edit_is_recognised_and_named(original: Image.Image, seen: Look, name: str, way: Distortion):
    copy = edited(original, way, 0, name)
    theirs = look(copy)
    found, back = relation(seen, theirs), relation(theirs, seen)
    assert found is not None
    assert back is not None
    assert (found.kind, back.kind) == (EDITED, EDITED)
    assert described(found, seen, theirs, (original.size, copy.size)) == WORDS.get(name, "compressed or retouched")
    turned = found.turned_round()
    assert np.allclose(turned.matrix @ found.matrix, np.eye(3))
    assert (turned.covered, turned.shown) == (found.covered[::-1], found.shown[::-1])


def test_what_was_cut_off_is_no_frame_though_it_is_out_of_focus(original: Image.Image):
    """Soft light around a sharp motif, as of a portrait, is a part of the picture; a plain ground is not."""
    across = np.linspace(100, 130, 3 * original.width // 2)[None, :, None]
    down = np.linspace(0, 10, 3 * original.height // 2)[:, None, None]
    soft = Image.fromarray(np.broadcast_to(across + down, (down.size, across.size, 3)).astype(np.uint8))
    plain = Image.new("RGB", soft.size, (200, 200, 200))
    corner = (original.width // 4, original.height // 4)
    for around, shown in ((soft, 1.0), (plain, 4 / 9)):
        around.paste(original, corner)
        found = relation(look(original), look(around))
        assert found is not None
        assert found.kind == EDITED
        assert found.shown == (1.0, pytest.approx(shown, abs=0.02))


@pytest.mark.parametrize("seed", range(6))
def test_another_shot_is_alike_and_a_stranger_is_nothing(seed: int):
    one, again, stranger = look(scene(seed)), look(scene(seed, shot=1)), look(scene(seed + 100))
    found = relation(one, again)
    assert found is not None
    assert found.kind == ALIKE
    assert relation(one, stranger) is None


def test_what_moved_is_enough_to_be_another_shot(original: Image.Image):
    """On a tripod nothing moves but one thing."""
    blocks = np.random.default_rng(5).integers(0, 256, (12, 12, 3), np.uint8)
    thing = Image.fromarray(blocks).resize((48, 48), Image.Resampling.BICUBIC)
    earlier, later = original.copy(), original.copy()
    earlier.paste(thing, (90, 100))
    later.paste(thing, (120, 95))
    found = relation(look(earlier), look(later))
    assert found is not None
    assert found.kind == ALIKE


def test_perspective_is_no_edit(original: Image.Image, seen: Look):
    """A photograph of a print shows it from the side."""
    corners = (0, 0, 0, 240, 320, 200, 320, 40)
    tilted = original.transform(original.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    found = relation(seen, look(tilted))
    assert found is None or found.kind == ALIKE


def test_cameras_that_name_different_times_took_different_pictures(original: Image.Image, seen: Look):
    brighter = look(original.point(lambda value: round(value * 0.9)))
    assert relation(seen, brighter).kind == EDITED
    assert relation(seen, brighter, other_time=True).kind == ALIKE
    assert relation(seen, look(original), other_time=True).kind == EDITED, "only its time was corrected"


def test_descriptors_are_mirrored_without_looking_again(original: Image.Image, seen: Look):
    """They are those that SIFT finds in the mirrored picture."""
    theirs = look(ImageOps.mirror(original))
    x = original.width - 1 - theirs.points[:, 0]
    far = np.hypot(seen.points[:, :1] - x, seen.points[:, 1:] - theirs.points[:, 1])
    rows, columns = np.nonzero(far < 0.8)
    likeness = (seen.descriptors[rows] * mirrored(theirs.descriptors)[columns]).sum(axis=1)
    assert len(rows) > 100
    assert np.median(likeness) > 0.98


def test_the_homography_is_the_one_that_was_applied(seen: Look):
    theirs = look(scene(1).crop((40, 30, 240, 180)).resize((400, 300)))
    found = aligned(seen, theirs)
    assert found is not None
    # Pixels' middles are at whole numbers: the first of the crop, at 40, is drawn over two.
    assert np.allclose(found.matrix, [[2, 0, -79.5], [0, 2, -59.5], [0, 0, 1]], atol=0.6)
    assert found.agreeing > 50


@pytest.mark.parametrize("side", [8, 28, 32])
def test_small_pictures_are_compared_pixel_by_pixel(side: int):
    colours = np.random.default_rng(side).integers(0, 256, (2, side, side, 3), np.uint8)
    one, other = (Image.fromarray(each) for each in colours)
    noisy = Image.fromarray(np.clip(colours[0].astype(int) + 1, 0, 255).astype(np.uint8))
    for copy in (one.copy(), noisy, ImageOps.mirror(one), one.rotate(90)):
        assert relation(look(one), look(copy)).kind == EDITED
    assert relation(look(one), look(other)) is None


def test_plain_pictures_are_the_same_if_their_colour_is():
    red, also_red, blue = (look(Image.new("RGB", (200, 150), colour)) for colour in ("#a01010", "#a01112", "#1010a0"))
    assert relation(red, also_red).kind == EDITED
    assert relation(red, blue) is None


def test_any_mode_and_shape_has_a_look():
    for mode, size in (("1", (70, 60)), ("RGBA", (1, 1)), ("I;16", (3000, 2)), ("CMYK", (64, 900))):
        assert max(look(Image.new(mode, size)).shape) <= 512
