import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cbir
from cbir.model.border import ground
from cbir.model.distortion import COPIES, KINDS, Distortion, distortions, workable
from cbir.model.preprocessing import Preprocessing
from tests.conftest import picture

SEEN = Preprocessing(28, 28, 3)
#: Those that have strengths.
GRADED = {name: kind for name, kind in KINDS.items() if kind.unit}


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
@settings(max_examples=150)
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
    assert SEEN.pixels(one).shape == SEEN.shape


@pytest.mark.parametrize("kind", GRADED.values(), ids=GRADED)
@pytest.mark.parametrize("plain", [picture(3), picture(4, (8, 8)), colourful()], ids=["digit", "tiny", "colour"])
def test_more_strength_changes_more(kind, plain):
    order = sorted(kind.strengths, key=lambda strength: abs(strength - kind.nothing))
    beyond = [s for s in order if s >= kind.nothing] if kind.low < kind.nothing < kind.high else order
    changes = [difference(plain, Distortion(kind, s)(plain, drawn(1))) for s in (kind.nothing, *beyond)]
    assert changes[0] < 4  # JPEG at its best still halves the resolution of colour
    if kind.name not in ("rotate", "turn"):  # a blob turned by 90 degrees may be itself again
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


def gradient(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(20, 220, size[0]), np.linspace(20, 220, size[1]))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 100)], -1).astype(np.uint8))


def made(name: str, strength: float = 1, seed: int = 0, plain: Image.Image | None = None) -> np.ndarray:
    return np.asarray(Distortion(KINDS[name], strength)(plain or gradient(), drawn(seed)), float)


def test_a_turn_keeps_the_whole_picture_at_quarters_and_blackens_the_corners_between_them():
    plain = np.asarray(gradient(), float)
    quarters = [made("turn", 90, seed) for seed in range(9)]
    assert {np.array_equal(turned, np.rot90(plain)) for turned in quarters} == {True, False}
    assert all(np.array_equal(turned, np.rot90(plain, 1 if turned[0, 0, 0] > 99 else -1)) for turned in quarters)
    assert np.array_equal(made("turn", 180), plain[::-1, ::-1])
    slightly = made("turn", 10)
    assert slightly.shape == plain.shape
    assert slightly[0, 0].tolist() == slightly[-1, -1].tolist() == [0, 0, 0]
    assert slightly[30, 40] == pytest.approx(plain[30, 40], abs=3)
    assert made("turn", 80).shape == plain.transpose(1, 0, 2).shape


def test_the_middle_is_what_is_left_when_the_rest_is_cut_off_on_all_sides():
    assert np.array_equal(made("middle", 0.4), np.asarray(gradient())[18:42, 24:56])


@pytest.mark.parametrize(("share", "least", "most"), [(0.7, (7, 5), (17, 13)), (0.4, (14, 11), (34, 25))])
def test_a_crop_keeps_a_share_of_each_side_off_the_centre(share: float, least: tuple[int, int], most: tuple[int, int]):
    plain = np.asarray(gradient(), float)
    places = set()
    for seed in range(20):
        kept = made("crop", share, seed)
        assert kept.shape == (round(60 * share), round(80 * share), 3)
        left, top = np.abs(plain[0, :, 0] - kept[0, 0, 0]).argmin(), np.abs(plain[:, 0, 1] - kept[0, 0, 1]).argmin()
        places.add((int(left), int(top)))
    assert places == {(x, y) for x in (least[0], most[0]) for y in (least[1], most[1])}


def test_mirror_grey_brightness_and_size():
    plain = np.asarray(gradient(), float)
    assert np.array_equal(made("mirror"), plain[:, ::-1])
    assert np.ptp(made("grey"), axis=2).max() == 0
    assert np.array_equal(made("bright", 1.5), np.minimum(np.floor(plain * 1.5), 255))
    assert made("resize", 0.25).shape == (15, 20, 3)
    assert made("resize", 0.25)[7, 10] == pytest.approx(plain[30, 42], abs=4)


@pytest.mark.parametrize(
    ("name", "strength", "where"),
    [
        ("frame", 0.1, (slice(8, -8), slice(8, -8))),
        ("letterbox", 0.1, (slice(6, -6), slice(None))),
        ("screenshot", 1, (slice(5 + 7, -5), slice(5, -5))),
        ("phone", 1, (slice(56, 56 + 60), slice(None))),
    ],
)
def test_around_the_picture_is_something_else_light_or_dark(name: str, strength: float, where: tuple[slice, slice]):
    lights = set()
    for seed in range(20):
        shown = made(name, strength, seed)
        assert np.array_equal(shown[where], np.asarray(gradient()))
        lights.add(float(np.median(shown[0])))
    assert len(lights) == (1 if name == "letterbox" else 2)


def test_a_caption_covers_little_and_only_one_edge():
    plain = np.asarray(gradient((320, 240)), float)
    rows = set()
    for seed in range(20):
        changed = np.abs(made("text", 0.1, seed, gradient((320, 240))) - plain).max(axis=2) > 30
        assert 0.01 < changed.mean() < 0.1
        high = np.flatnonzero(changed.any(axis=1))
        assert 0.08 < (np.ptp(high) + 1) / 240 < 0.18
        rows.add(int(high.mean()) // 80)
    assert rows == {0, 2}


def test_the_usual_copies_are_different_ones_and_each_leaves_the_picture_recognisable():
    plain = workable(colourful(200))
    names, copies = zip(*COPIES, strict=True)
    assert len(set(names)) == len(set(map(str, copies))) == len(COPIES)
    for edit in copies:
        seen = edit(plain, drawn(3))
        assert min(seen.size) / 200 >= 0.3 or str(edit) == "resize=0.25"
        assert np.asarray(seen, float).std() > 20


def test_large_pictures_are_scaled_down_first():
    assert workable(Image.new("RGB", (4000, 1000))).size == (512, 128)
    assert workable(picture(1)).tobytes() == picture(1).tobytes()


def test_distortions_are_parsed_from_text():
    asked = distortions(["rotate=30,15", "jpeg", "rotate=15,90", "mirror", "scale=0.5", "crop=0.4,0.7", "mirror"])
    assert [str(d) for d in asked] == [
        *("rotate=15", "rotate=30", "rotate=90"),
        *("jpeg=50", "jpeg=20", "jpeg=10", "jpeg=5"),
        *("mirror", "scale=0.5", "crop=0.7", "crop=0.4"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("twist=3", "unknown distortion 'twist'; choose from rotate, scale"),
        ("", "unknown distortion ''"),
        ("rotate=", r"rotate must be 0 to 180 \(degrees, left or right\), not ''; for example rotate=15,30,45,90"),
        ("rotate=200", r"0 to 180 \(.*\), not '200'"),
        ("scale=0", r"0\.1 to 10 \(factor\), not '0'"),
        ("noise=nan", "not 'nan'"),
        ("blur=0.1,thick", "not 'thick'"),
        ("mirror=1", "mirror has no strength: write mirror"),
    ],
)
def test_an_invalid_distortion_is_refused_with_valid_choices(text: str, said: str):
    with pytest.raises(cbir.CbirError, match=said) as error:
        distortions([text])
    assert "\n" not in str(error.value)
