"""A head learns which pictures are linked, and is kept only where edited copies are found as well."""

import numpy as np
import pytest

from cbir.model.pretrained.adaptation import LEAST, adapted, originals_first
from cbir.model.pretrained.head import Head

D = 120


def pictures(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of pictures of twelve kinds, which overlap, (count, D), and the kinds."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 12, count)
    raw = 3 + np.random.default_rng(99).normal(size=(12, D))[kind] * (np.arange(D) < 30)
    raw += 1.2 * generator.normal(size=(count, D)) * (np.arange(D) % 4 == 0) + 0.1 * generator.normal(size=(count, D))
    return np.maximum(raw, 0).astype(np.float32), kind


def copies_of(raw: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(0, len(raw), 5)
    generator = np.random.default_rng(1)
    return rows, np.stack([raw[rows] + noise * generator.normal(size=(len(rows), D)).astype(np.float32)] * 2)


def never() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("copies were asked for")


def same_kind(head: Head, queries: np.ndarray, kinds: np.ndarray, raw: np.ndarray, kind: np.ndarray) -> float:
    """The share of the 40 pictures closest to each query that are of its kind."""
    closest = np.argsort(-head.apply(queries) @ head.apply(raw).T, axis=1)[:, :40]
    return float((kind[closest] == kinds[:, None]).mean())


def test_off_and_few_pictures_are_projected_plainly():
    raw, _ = pictures(LEAST)
    head, decision = adapted(raw, never, adapt="off")
    assert head.places is None
    assert not decision.adapted
    assert "adapt=off" in decision.text
    head, decision = adapted(raw[: LEAST - 1], never)
    assert head.places is None
    assert "too few" in decision.text
    assert adapted(raw[:1], never)[0].apply(raw).shape == (LEAST, D)


def test_pictures_of_a_kind_come_closer_also_those_that_come_later():
    raw, kind = pictures(LEAST)
    later, kinds = pictures(200, seed=1)
    plain, _ = adapted(raw, never, adapt="off", values=40)
    head, decision = adapted(raw, never, adapt="on", values=40)
    assert decision.adapted
    assert head.values == 40
    np.testing.assert_allclose(np.linalg.norm(head.apply(later), axis=1), 1, atol=1e-5)
    assert same_kind(head, later, kinds, raw, kind) > same_kind(plain, later, kinds, raw, kind) + 0.05
    again, _ = adapted(raw, never, adapt="on", values=40)
    np.testing.assert_array_equal(again.apply(later), head.apply(later))


def test_equal_pictures_can_be_adapted_to():
    raw = np.repeat(pictures(1)[0], LEAST, axis=0)
    head, _ = adapted(raw, never, adapt="on", values=40)
    assert np.isfinite(head.apply(raw)).all()


@pytest.mark.parametrize(("noise", "kept"), [(0.01, True), (2, False)])
def test_adaptation_is_kept_only_where_copies_are_found_as_well(noise: float, kept: bool):
    raw, _ = pictures(LEAST)
    rows, copies = copies_of(raw, noise)
    head, decision = adapted(raw, lambda: (rows, copies), values=40)
    plain, _ = adapted(raw, never, adapt="off", values=40)
    assert decision.plain == originals_first(plain, raw, rows, copies)
    assert decision.learned is not None
    assert decision.adapted == (decision.learned >= decision.plain - 0.005) == (head.places is not None) == kept


def test_either_of_two_equal_pictures_is_the_original():
    raw, _ = pictures(50)
    twice = np.concatenate([raw, raw])
    plain, _ = adapted(twice, never, adapt="off", values=40)
    assert originals_first(plain, twice, np.arange(50), raw[None]) == 1
    assert originals_first(plain, twice, np.arange(50), raw[None, ::-1]) == 0


def test_of_a_sample_the_edited_pictures_are_hidden_from_the_measurement():
    raw, _ = pictures(LEAST)
    rows, copies = copies_of(raw, 2)
    _, all_known = adapted(raw, lambda: (rows, copies), values=40)
    _, hidden = adapted(raw, lambda: (rows, copies), values=40, whole=False)
    assert all_known.plain == hidden.plain
    assert all_known.learned is not None
    assert hidden.learned is not None
    assert hidden.learned < all_known.learned
