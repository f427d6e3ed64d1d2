"""`photo` learns from a stream what its graph does afterwards, from however few and whatever pictures."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from cbir.model.graph import graph_of
from cbir.model.method import Examples, Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.pretrained import adaptation
from cbir.model.pretrained.photo import KIND, Recipe, _Spread, learn, preprocessing

#: No example is held at once.
NONE = np.empty((0, 224, 224, 3), np.uint8)


def parts(count: int) -> np.ndarray:
    """Parts of two photographs, (count, 224, 224, 3)."""
    generator = np.random.default_rng(0)
    photographs = [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    shown = []
    for number in range(count):
        top, left, side = generator.integers(0, 200), generator.integers(0, 400), generator.integers(60, 224)
        part = Image.fromarray(photographs[number % 2][top : top + side, left : left + side])
        shown.append(np.asarray(part.resize((224, 224))))
    return np.stack(shown)


def blocks(pictures: np.ndarray, size: int = 16) -> Iterator[np.ndarray]:
    return (pictures[start : start + size] for start in range(0, len(pictures), size))


def learned_from(pictures: np.ndarray, **options: object) -> Learned:
    return learn(Examples(NONE, blocks=blocks(pictures)), Recipe(**{"precision": "int8", **options}))


@pytest.mark.parametrize("precision", ["int8", "float"])
@pytest.mark.parametrize("adapt", ["on", "off"])
def test_the_graph_gives_the_features_that_were_learned(precision: str, adapt: str):
    pictures = parts(12)
    learned = learned_from(pictures, precision=precision, adapt=adapt, values=64)
    assert learned.features.shape == (12, 64)
    run = graph_of(learned.graph, "the graph")
    np.testing.assert_allclose(run(pictures), learned.features, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(learned.features, axis=1), 1, atol=1e-5)
    (note,) = learned.about["notes"]
    assert note.startswith("adapted to 12 pictures" if adapt == "on" else "not adapted to your pictures: adapt=off")
    assert learned.about["precision"] == precision


def test_the_same_pictures_make_the_same_encoder():
    pictures = parts(8)
    first, again = (learned_from(pictures, adapt="on") for _ in range(2))
    assert first.graph == again.graph
    assert learned_from(pictures[::-1].copy(), adapt="on").graph != first.graph


@pytest.mark.parametrize(("count", "adapt"), [(1, "auto"), (1, "on"), (2, "on"), (20, "on")])
@pytest.mark.parametrize("alike", [True, False])
def test_any_number_of_pictures_will_do(count: int, adapt: str, alike: bool):
    pictures = np.repeat(parts(1), count, axis=0) if alike else parts(count)
    learned = learned_from(pictures, adapt=adapt)
    np.testing.assert_allclose(np.linalg.norm(learned.features, axis=1), 1, atol=1e-4)
    others = graph_of(learned.graph, "the graph")(parts(4))
    assert np.isfinite(others).all()


def test_copies_of_some_pictures_decide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adaptation, "LEAST", 20)
    learned = learned_from(parts(32))
    # 5 edits that are hard to see through, of 2 pictures.
    assert "of 10 edited copies" in learned.about["notes"][-1]


def test_no_picture_is_no_error_here():
    learned = learned_from(NONE)
    assert learned.features.shape == (0, 256)
    with pytest.raises(TypeError, match="in blocks"):
        learn(Examples(parts(1)), Recipe())


def test_the_network_decides_size_and_fit_and_the_pictures_whether_margins_go():
    for trim in (True, False):
        chosen = preprocessing(Preprocessing(64, 64, 1, trim=trim))
        assert (chosen.shape, chosen.fit, chosen.values) == ((224, 224, 3), "squash", "bytes")
        assert chosen.trim == trim


def test_it_streams_and_needs_no_more_than_ten_thousand():
    assert KIND.streams
    assert KIND.most_images == 10_000


@given(sizes=st.lists(st.integers(1, 40), max_size=12), most=st.integers(2, 16), fewer=st.integers(0, 20))
def test_some_of_a_stream_are_from_all_over_it(sizes: list[int], most: int, fewer: int):
    few, total = _Spread(most), 0
    for size in sizes:
        few.add(np.arange(total, total + size).reshape(-1, 1, 1, 1))
        total += size
    for kept, limit in ((few, most), (few.thinned(fewer), max(1, fewer))):
        assert [picture.item() for picture in kept.pictures] == kept.rows
        assert len(kept.rows) <= limit
        assert kept.rows == list(range(0, total, kept.step))[: len(kept.rows)]
        assert not total or kept.rows[-1] + kept.step >= total
    assert len(few.rows) >= min(total, most) / 2
