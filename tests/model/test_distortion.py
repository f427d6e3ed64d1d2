import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cbir
from cbir.model.border import ground
from cbir.model.distortion import KINDS, Distortion, distortions, workable
from cbir.model.preprocessing import Preprocessing
from tests.conftest import picture

SEEN = Preprocessing(28, 28, 3)


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def colourful(size: int = 32) -> Image.Image:
    """Smooth colours with a dark frame in them."""
    y, x = np.mgrid[:size, :size] / size
    smooth = np.stack([0.3 + 0.4 * x, 0.7 - 0.4 * y, 0.5 * x * y], -1)
    frame = np.abs(np.maximum(np.abs(x - 0.5), np.abs(y - 0.4)) - 0.2) < 0.05
    return Image.fromarray((255 * np.where(frame[..., None], 0.1, smooth)).astype(np.uint8))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of what an encoder sees, in [0, 255]."""
    return float(np.abs(SEEN.pixels(one).astype(float) - SEEN.pixels(other)).mean())


def light_square() -> Image.Image:
    """A dark square of 20 pixels in the middle of 60, on light ground."""
    pixels = np.full((60, 60), 200, np.uint8)
    pixels[20:40, 20:40] = 30
    return Image.fromarray(pixels)


def dark_centre(image: Image.Image) -> tuple[np.ndarray, float]:
    """Centre (x, y) and area of what is dark, in pixels."""
    ink = (200 - np.asarray(image, float)).clip(0) / 170
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    return np.array([(x * ink).sum(), (y * ink).sum()]) / ink.sum(), float(ink.sum())


@given(
    st.sampled_from(sorted(KINDS)),
    st.floats(0, 1),
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_any_picture_at_any_strength(name: str, share: float, mode: str, size: tuple[int, int], seed: int):
    kind = KINDS[name]
    distort = Distortion(kind, kind.low + share * (kind.high - kind.low))
    values = drawn(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    plain = workable(
        Image.fromarray(values.astype(np.uint16)) if mode == "I;16" else Image.fromarray(values).convert(mode)
    )
    one, again = distort(plain, drawn(seed)), distort(plain, drawn(seed))
    assert one.mode == plain.mode in ("L", "RGB")
    assert one.tobytes() == again.tobytes()
    assert one.width / one.height == pytest.approx(size[0] / size[1])
    assert SEEN.pixels(one).shape == SEEN.shape


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("plain", [picture(3), picture(4, (8, 8)), colourful()], ids=["digit", "tiny", "colour"])
def test_more_strength_changes_more(kind, plain):
    order = sorted(kind.strengths, key=lambda strength: abs(strength - kind.nothing))
    beyond = [s for s in order if s >= kind.nothing] if kind.name == "scale" else order
    changes = [difference(plain, Distortion(kind, s)(plain, drawn(1))) for s in (kind.nothing, *beyond)]
    assert changes[0] < 4  # JPEG at its best still halves the resolution of colour
    if kind.name != "rotate":  # a blob turned by 90 degrees may be itself again
        assert changes == sorted(changes)
    assert max(changes) > 2


def test_rotation_has_the_given_angle_either_way_and_fills_with_the_background():
    plain = picture(5)
    turns = {Distortion(KINDS["rotate"], 90)(plain, drawn(seed)).tobytes() for seed in range(20)}
    assert turns == {plain.transpose(t).tobytes() for t in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)}
    turned = np.asarray(Distortion(KINDS["rotate"], 45)(light_square(), drawn()))
    assert np.unique(turned[:14]).tolist() == np.unique(turned[:, -14:]).tolist() == [200]
    assert turned[30, 30 - 13] < 60 < turned[30 - 10, 30 - 10]


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.75, 1.5, 2])
def test_scaling_has_the_given_factor_about_the_centre(factor: float):
    scaled = Distortion(KINDS["scale"], factor)(light_square(), drawn())
    centre, area = dark_centre(scaled)
    assert scaled.size == (60, 60)
    assert centre == pytest.approx([29.5, 29.5], abs=0.05)
    assert area == pytest.approx(400 * factor**2, rel=0.05)
    assert ground(scaled) == (200,)


def test_shifts_have_the_given_length_and_any_direction():
    moved = [dark_centre(Distortion(KINDS["shift"], 0.2)(light_square(), drawn(seed)))[0] - 29.5 for seed in range(30)]
    assert np.linalg.norm(moved, axis=1) == pytest.approx([12] * 30, abs=0.1)
    assert len({tuple(np.sign(way)) for way in moved}) == 4


def test_noise_has_the_given_deviation_and_is_drawn_once_for_all_strengths():
    flat = Image.new("L", (200, 200), 128)
    weak, strong = (
        np.asarray(Distortion(KINDS["noise"], deviation)(flat, drawn()), float) - 128 for deviation in (0.02, 0.1)
    )
    assert weak.std() / 255 == pytest.approx(0.02, rel=0.05)
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.99


def test_colour_turns_the_hue():
    red = Image.new("RGB", (30, 30), (200, 40, 40))
    hues = {Distortion(KINDS["colour"], 1)(red, drawn(seed)).convert("HSV").getpixel((5, 5))[0] for seed in range(20)}
    assert {round(hue / 64) for hue in hues} == {1, 3}  # quarters of a turn


def test_large_pictures_are_scaled_down_first():
    assert workable(Image.new("RGB", (4000, 1000))).size == (512, 128)
    assert workable(picture(1)).tobytes() == picture(1).tobytes()


def test_distortions_are_parsed_from_text():
    asked = distortions(["rotate=30,15", "jpeg", "rotate=15,90", "scale=0.5"])
    assert [str(d) for d in asked] == [
        *("rotate=15", "rotate=30", "rotate=90"),
        *("jpeg=50", "jpeg=20", "jpeg=10", "jpeg=5"),
        "scale=0.5",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("turn=3", "unknown distortion 'turn'; choose from rotate, scale"),
        ("", "unknown distortion ''"),
        ("rotate=", r"rotate must be 0 to 180 \(degrees, left or right\), not ''; for example rotate=15,30,45,90"),
        ("rotate=200", r"0 to 180 \(.*\), not '200'"),
        ("scale=0", r"0\.1 to 10 \(factor\), not '0'"),
        ("noise=nan", "not 'nan'"),
        ("blur=0.1,thick", "not 'thick'"),
    ],
)
def test_an_invalid_distortion_is_refused_with_valid_choices(text: str, said: str):
    with pytest.raises(cbir.CbirError, match=said) as error:
        distortions([text])
    assert "\n" not in str(error.value)
