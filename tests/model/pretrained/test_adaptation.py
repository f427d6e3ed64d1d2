"""A head learns chains of neighbours, and is kept only where edited copies are found as well."""

import numpy as np
import pytest

from cbir.model.pretrained.adaptation import LEAST, adapted, originals_first
from cbir.model.pretrained.head import Head

D = 120


def chains(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of two kinds: half circles side by side, so that an arc's ends are nearer to the other kind."""
    generator = np.random.default_rng(seed)
    kind, angle = generator.integers(0, 2, count), generator.uniform(0, np.pi, count)
    outer = np.column_stack([np.cos(angle), np.sin(angle)])
    raw = 2 + 0.03 * generator.normal(size=(count, D))
    raw[:, :2] += np.where(kind[:, None], outer, [1, 0.4] - outer)
    return np.maximum(raw, 0).astype(np.float32), kind


def copies_of(raw: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(0, len(raw), 5)
    generator = np.random.default_rng(1)
    return rows, np.stack([raw[rows] + noise * generator.normal(size=(len(rows), D)).astype(np.float32)] * 2)


def never() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("copies were asked for")


def same_kind(head: Head, raw: np.ndarray, kind: np.ndarray) -> float:
    features = head.apply(raw)
    nearest = np.argsort(-features @ features.T, axis=1)[:, 1:80]
    return float((kind[nearest] == kind[:, None]).mean())


def test_off_and_few_pictures_are_projected_plainly():
    raw, _ = chains(LEAST)
    head, decision = adapted(raw, never, adapt="off")
    assert head.places is None
    assert not decision.adapted
    assert "adapt=off" in decision.text
    head, decision = adapted(raw[: LEAST - 1], never)
    assert head.places is None
    assert "too few" in decision.text
    assert adapted(raw[:1], never)[0].apply(raw).shape == (LEAST, D)


def test_an_adapted_head_takes_pictures_that_it_has_not_seen():
    raw, kind = chains(600)
    head, decision = adapted(raw, never, adapt="on", values=40)
    assert decision.adapted
    assert head.values == 40
    later, other = chains(200, seed=1)
    for pictures, kinds in ((raw, kind), (later, other)):
        np.testing.assert_allclose(np.linalg.norm(head.apply(pictures), axis=1), 1, atol=1e-5)
        assert same_kind(head, pictures, kinds) > 0.6
    again, _ = adapted(raw, never, adapt="on", values=40)
    np.testing.assert_array_equal(again.apply(later), head.apply(later))


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_adaptation_is_kept_only_where_copies_are_found_as_well(noise: float):
    raw, _ = chains(400)
    rows, copies = copies_of(raw, noise)
    head, decision = adapted(raw, lambda: (rows, copies), values=40)
    plain, _ = adapted(raw, never, adapt="off", values=40)
    assert decision.plain == originals_first(plain, raw, rows, copies)
    assert decision.learned is not None
    assert decision.adapted == (decision.learned >= decision.plain) == (head.places is not None)


def test_either_of_two_equal_pictures_is_the_original():
    raw, _ = chains(50)
    twice = np.concatenate([raw, raw])
    plain, _ = adapted(twice, never, adapt="off", values=40)
    assert originals_first(plain, twice, np.arange(50), raw[None]) == 1
    assert originals_first(plain, twice, np.arange(50), raw[None, ::-1]) == 0
