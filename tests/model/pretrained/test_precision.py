"""Eight bits are taken where they are faster and as good as float, and the user is told why."""

import itertools
from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_sample_image

from cbir.model.pretrained import precision
from cbir.model.pretrained.precision import choose_precision


def pictures() -> np.ndarray:
    """Parts of a photograph, (3, 224, 224, 3)."""
    photograph = load_sample_image("china.jpg")
    return np.stack([photograph[100 : 100 + 224, left : left + 224] for left in (0, 200, 400)])


def test_both_are_tried_on_the_pictures_and_one_is_ready_to_run():
    chosen = choose_precision(pictures())
    assert 0.98 < chosen.cosine < 0.99999
    assert chosen.precision == ("int8" if chosen.speed > 1 else "float")
    assert f"mean cosine to float {chosen.cosine:.3f}" in chosen.notes[0]
    session = onnxruntime.InferenceSession(chosen.network.SerializeToString())
    assert ("QuantizeLinear" in {node.op_type for node in chosen.network.graph.node}) == (chosen.precision == "int8")
    (expected,) = session.run(["features"], {"pictures": pictures()})
    np.testing.assert_allclose(chosen.run(pictures()), expected, atol=1e-4)


@pytest.mark.parametrize("wanted", ["int8", "float"])
def test_what_the_user_wants_is_taken_untried(wanted: str):
    chosen = choose_precision(pictures(), wanted)
    assert chosen.precision == wanted
    assert (chosen.cosine, chosen.speed, chosen.notes) == (None, None, ())


class Processor:
    """One on which float takes 2 s, and eight bits as long as said for each call, with that first value."""

    def __init__(self, rounded: Callable[[int], tuple[float, float]]):
        self.rounded, self.clock = rounded, 0.0

    def perf_counter(self) -> float:
        return self.clock

    def graph_of(self, content: bytes, name: str, *, threads: int) -> Callable:
        calls = itertools.count()

        def run(pictures: np.ndarray) -> np.ndarray:
            seconds, first = self.rounded(next(calls)) if b"QuantizeLinear" in content else (2, 0)
            self.clock += seconds
            features = np.ones((len(pictures), 4), np.float32)
            features[:, 0] = first
            return features

        return run


@pytest.mark.parametrize(
    ("rounded", "expected", "reason"),
    [
        (lambda call: (1, 0.1), "int8", "eight bits: 2.0 times as fast, mean cosine to float 0.998"),
        (lambda call: (5, 0.1), "float", "float: eight bits are no faster on this processor"),
        (lambda call: (1, 1), "float", "float: eight bits change these pictures' features too much"),
        (
            lambda call: (2.5 if call == 0 else 1, 0.1),
            "int8",
            "eight bits: 2.0 times as fast, mean cosine to float 0.998",
        ),
        (lambda call: (5 if call < 2 else 1, 0.1), "int8", "eight bits: 2.0 times as fast, mean cosine to float 0.998"),
    ],
    ids=["faster", "slower", "other features", "slower in one batch", "slower only at first"],
)
def test_speed_and_likeness_decide(monkeypatch: pytest.MonkeyPatch, rounded: Callable, expected: str, reason: str):
    processor = Processor(rounded)
    monkeypatch.setattr(precision, "graph_of", processor.graph_of)
    monkeypatch.setattr(precision, "time", processor)
    chosen = choose_precision(np.repeat(pictures()[:1], 8, axis=0))
    assert chosen.precision == expected
    assert chosen.notes[0].startswith(reason)
    assert ("QuantizeLinear" in {node.op_type for node in chosen.network.graph.node}) == (expected == "int8")
