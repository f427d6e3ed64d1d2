"""Every classical encoder, stored as a bundle and run from it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn.datasets import load_sample_image

from cbir.model.bundle import Bundle, read_bundle, write_bundle
from cbir.model.distortion import COPIES, distortions, workable
from cbir.model.encoder import Encoder
from cbir.model.errors import ModelError
from cbir.model.method import Examples
from cbir.model.preprocessing import Preprocessing, to_unit
from cbir.model.registry import encoders, kind_of

NAMES = [kind.name for kind in encoders() if kind.module.startswith("cbir.model.classical.")]
SHAPES = [(28, 28, 1), (32, 32, 3), (64, 64, 3)]
#: Small enough to be learned in a moment.
OPTIONS = {"sift": {"words": 4, "values": 24}, "pca": {"values": 16}}

Known = Callable[[str, tuple[int, int, int]], Bundle]


def images(shape: tuple[int, int, int], count: int = 40) -> np.ndarray:
    """Blurred noise, brighter or darker, with edges of every direction."""
    generator = np.random.default_rng(7)
    coarse = generator.integers(0, 256, (count, 4, 4, shape[2])).astype(np.uint8)
    return coarse.repeat(shape[0] // 4, axis=1).repeat(shape[1] // 4, axis=2)


def learned_bundle(path: Path, name: str, pixels: np.ndarray, **options: int) -> Bundle:
    kind = kind_of(name)
    recipe = kind.recipe(**{**OPTIONS.get(name, {}), **options})
    learned = kind.method.learn(Examples(pixels), recipe)
    return write_bundle(path, learned, Preprocessing(*pixels.shape[1:]), described=kind.describe(recipe))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A bundle of each encoder and shape, learned when first asked for."""
    folder, made = tmp_path_factory.mktemp("classical"), {}

    def bundle(name: str, shape: tuple[int, int, int]) -> Bundle:
        if (name, shape) not in made:
            made[name, shape] = learned_bundle(folder / f"{name}-{shape[0]}", name, images(shape))
        return made[name, shape]

    return bundle


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}x{shape[2]}")
def shape(request: pytest.FixtureRequest) -> tuple[int, int, int]:
    return request.param


def test_a_bundle_gives_what_was_learned(known: Known, name: str, shape: tuple[int, int, int]):
    kind, bundle = kind_of(name), known(name, shape)
    learned = kind.method.learn(Examples(images(shape)), kind.recipe(**OPTIONS.get(name, {})))
    assert learned.arrays is not None
    features = read_bundle(bundle.path).encoder().encode(images(shape))
    assert features.dtype == np.float32
    assert features.shape == (40, bundle.dimension)
    np.testing.assert_allclose(features, kind.method.run(learned.arrays)(to_unit(images(shape))), atol=1e-4)
    assert len(np.unique(features, axis=0)) == 40


def test_an_image_has_the_same_feature_in_any_company(known: Known, name: str, shape: tuple[int, int, int]):
    encoder, pixels = known(name, shape).encoder(), images(shape)
    together = encoder.encode(pixels)
    alone = np.concatenate([encoder.encode(pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, together[:5], atol=1e-4)
    np.testing.assert_allclose(encoder.encode(pixels[::-1])[::-1], together, atol=1e-4)


def test_any_image_has_a_finite_feature(known: Known, name: str, shape: tuple[int, int, int]):
    encoder: Encoder = known(name, shape).encoder()
    wild = arrays.arrays(np.uint8, shape, elements=st.integers(0, 255), fill=st.integers(0, 255))
    even = st.integers(0, 255).map(lambda value: np.full(shape, value, np.uint8))

    @settings(max_examples=15)
    @given(st.one_of(wild, even))
    def finite(image: np.ndarray) -> None:
        assert np.isfinite(encoder.encode(image[None])).all()

    finite()


def test_one_seed_makes_one_encoder(tmp_path: Path, known: Known, name: str):
    again = learned_bundle(tmp_path / "again", name, images(SHAPES[0]))
    assert again.fingerprint == known(name, SHAPES[0]).fingerprint


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("alike", [False, True])
def test_few_images_are_enough_or_refused(tmp_path: Path, name: str, count: int, alike: bool):
    pixels = images(SHAPES[1], count)
    pixels[:] = pixels[:1] if alike else pixels
    if count == 1 and kind_of(name).learns_from == "images":
        with pytest.raises(ModelError, match="needs at least 2 images"):
            learned_bundle(tmp_path / "few", name, pixels)
    else:
        features = learned_bundle(tmp_path / "few", name, pixels).encoder().encode(images(SHAPES[1]))
        assert np.isfinite(features).all()


def test_pca_keeps_the_distances_of_pixels(tmp_path: Path):
    pixels = images(SHAPES[0], 12)
    features = learned_bundle(tmp_path / "pca", "pca", pixels, values=128).encoder().encode(pixels)
    assert features.shape == (12, 11)  # 12 images span no more
    flat = to_unit(pixels).reshape(12, -1)

    def distances(rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm(rows[:, None] - rows, axis=-1)

    np.testing.assert_allclose(distances(features), distances(flat), atol=1e-4)


def test_pca_and_sift_learn_from_a_bounded_sample(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.model.classical.pca._MAX_VALUES", 28 * 28 * 10)
    monkeypatch.setattr("cbir.model.classical.sift._MAX_IMAGES", 10)
    monkeypatch.setattr("cbir.model.classical.sift._MAX_DESCRIPTORS", 50)
    for name in ("pca", "sift"):
        learned = kind_of(name).method.learn(Examples(images(SHAPES[0])), kind_of(name).recipe(values=30))
        assert learned.arrays is not None
        assert len(learned.arrays["components"]) == 9


def test_a_histogram_tells_colours_apart_and_not_places(known: Known):
    encoder = known("color-histogram", SHAPES[1]).encoder()
    red, blue = (np.zeros(SHAPES[1], np.uint8) for _ in range(2))
    red[:16, :, 0] = 200
    blue[:16, :, 2] = 200
    one, moved, other = encoder.encode(np.stack([red, red[::-1], blue]))
    np.testing.assert_allclose(np.linalg.norm(one), 1, rtol=1e-6)
    np.testing.assert_array_equal(one, moved)
    assert np.linalg.norm(one - other) == pytest.approx(1)  # half of either is black


def histogram(*colours: tuple[float, ...]) -> np.ndarray:
    """Histograms, of sum 1, of pictures of one colour each."""
    plain = np.array(colours, np.float32)[:, None, None] / np.float32(255)
    return kind_of("color-histogram").method.run({})(np.broadcast_to(plain, (len(colours), 4, 4, plain.shape[-1]))) ** 2


@given(
    st.tuples(*[st.integers(0, 254)] * 3) | st.tuples(st.integers(0, 254)).map(lambda grey: grey * 3),
    st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]),
)
@settings(max_examples=300)
def test_a_colour_that_moves_a_little_moves_little_from_bin_to_bin(
    colour: tuple[int, int, int], step: tuple[int, int, int]
):
    here, there = histogram(colour, tuple(np.add(colour, step)))
    assert here.sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(here - there).sum() / 2 < 0.3
    lighter, darker = histogram(colour[:1], (colour[0] + 1,))
    assert np.abs(lighter - darker).sum() / 2 < 0.3
    assert lighter.sum() == pytest.approx(1, abs=1e-5)


def test_a_colour_between_two_bins_is_in_both():
    one, other = histogram((117, 120, 91), (117, 120, 90))
    assert np.abs(one - other).sum() / 2 < 0.03
    purple, red, magenta = histogram((255, 0, 1), (255, 0, 0), (255, 1, 0))  # hue goes round
    assert np.abs(purple - red).sum() / 2 < 0.03 > np.abs(magenta - red).sum() / 2


def test_what_has_little_colour_counts_as_grey_and_darkness_hides_hues():
    reddish, bluish, black, dark_red, red, blue = histogram(
        (131, 128, 128), (128, 128, 131), (0, 0, 0), (2, 0, 0), (250, 0, 0), (0, 0, 250)
    )
    assert np.abs(reddish - bluish).sum() / 2 < 0.1
    assert np.abs(dark_red - black).sum() / 2 < 0.25
    assert np.abs(red - blue).sum() / 2 == pytest.approx(1)


def test_histograms_of_wide_pictures_hold_no_padding():
    kind = kind_of("color-histogram")
    wide = Image.fromarray(images((32, 32, 3), 1)[0]).resize((96, 32))
    chosen = kind.preprocessing(Preprocessing(32, 32, 3, trim=True))
    assert (chosen.fit, chosen.trim) == ("squash", True)
    seen, square = (chosen.pixels(image)[None] for image in (wide, wide.resize((32, 32))))
    one, other = kind.method.run({})(to_unit(np.concatenate([seen, square])))
    assert np.linalg.norm(one - other) < 0.1


def test_copies_of_a_photograph_are_closer_to_it_than_the_same_in_slightly_other_colours():
    """In whole bins a JPEG of china.jpg was farther away: its sky lies at the limit of two."""
    kind = kind_of("color-histogram")
    china = workable(Image.fromarray(load_sample_image("china.jpg")))
    chosen, run = kind.preprocessing(Preprocessing(64, 64, 3, trim=True)), kind.method.run({})

    def feature(picture: Image.Image) -> np.ndarray:
        return run(to_unit(chosen.pixels(picture)[None]))[0]

    own = feature(china)
    recoloured = [feature(edit(china, np.random.default_rng(6))) for edit in distortions(["colour=0.1,0.2,0.3"])]
    for name, edit in COPIES:
        if str(edit) not in ("grey", "bright=1.5", "crop=0.4"):  # other colours, too
            copy = feature(edit(china, np.random.default_rng(0)))
            assert np.linalg.norm(copy - own) < min(np.linalg.norm(copy - other) for other in recoloured), name


def test_features_of_another_revision_are_not_mixed(tmp_path: Path):
    made = learned_bundle(tmp_path / "old", "color-histogram", images(SHAPES[0]))
    described = json.loads((made.path / "model.json").read_text())
    (made.path / "model.json").write_text(json.dumps({**described, "revision": 1}))
    with pytest.raises(ModelError, match=r"revision 1 of encoder 'color-histogram'.* revision 2.*--retrain"):
        read_bundle(made.path).encoder()


@pytest.mark.parametrize("name", ["hog", "sift"])
def test_edges_are_described_whatever_the_light(known: Known, name: str):
    encoder, pixels = known(name, SHAPES[0]).encoder(), images(SHAPES[0], 8)
    bright, dim = encoder.encode(pixels // 4 * 4), encoder.encode(pixels // 4 * 2 + 60)
    nearest = np.linalg.norm(dim[:, None] - bright, axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(8))


@pytest.mark.parametrize(
    ("shape", "first", "later", "total"),
    [
        (
            (28, 28, 1),
            [0.377635, 0, 0.117915, 0, 0.377635, 0, 0, 0, 0, 0.377635, 0, 0, 0.03906, 0.18166, 0, 0, 0.085543, 0],
            [0.192124, 0, 0, 0.173009, 0.064771],
            30.2573,
        ),
        (
            (32, 32, 3),
            [0.085013, 0, 0, 0, 0.385475, 0, 0, 0, 0, 0.385475, 0, 0, 0, 0.385475, 0, 0, 0, 0.097209],
            [0.288565, 0.047654, 0.060692, 0.084322, 0],
            31.0781,
        ),
    ],
)
def test_hog_gives_what_scikit_image_gives(
    known: Known, shape: tuple[int, int, int], first: list[float], later: list[float], total: float
):
    """Collections were filled when scikit-image 0.26 computed it, by encoders of the same fingerprint."""
    feature = known("hog", shape).encoder().encode(images(shape, 1))[0]
    np.testing.assert_allclose(feature[:18], first, atol=1e-5)
    np.testing.assert_allclose(feature[[40, 123, 200, 299, 323]], later, atol=1e-5)
    assert feature.sum() == pytest.approx(total, abs=1e-3)


def test_sift_of_pictures_without_an_edge_is_refused_and_of_one_is_not(tmp_path: Path, known: Known):
    even = np.full((5, *SHAPES[0]), 90, np.uint8)
    with pytest.raises(ModelError, match="no edge"):
        learned_bundle(tmp_path / "even", "sift", even)
    black, grey = known("sift", SHAPES[0]).encoder().encode(np.stack([even[0], even[0] // 2]))
    np.testing.assert_array_equal(black, grey)
