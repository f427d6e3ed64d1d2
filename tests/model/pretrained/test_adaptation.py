"""A head learns what neighbours have in common and how they are linked, as far as edited copies are found as well."""

import numpy as np
import pytest

from cbir.model.pretrained import adaptation
from cbir.model.pretrained.adaptation import LEAST, LINKED, adapted, originals_first
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
    assert decision.chosen == "plain"
    assert "adapt=off" in decision.text
    head, decision = adapted(raw[: LEAST - 1], never)
    assert head.places is None
    assert "fewer than" in decision.text
    assert adapted(raw[:1], never)[0].apply(raw).shape == (LEAST, D)


def test_pictures_of_a_kind_come_closer_also_those_that_come_later():
    raw, kind = pictures(600)
    later, kinds = pictures(200, seed=1)
    plain, _ = adapted(raw, never, adapt="off", values=40)
    head, decision = adapted(raw, never, adapt="on", values=40)
    assert decision.chosen == "places"
    assert head.values == 40
    np.testing.assert_allclose(np.linalg.norm(head.apply(later), axis=1), 1, atol=1e-5)
    assert same_kind(head, later, kinds, raw, kind) > same_kind(plain, later, kinds, raw, kind) + 0.1
    again, _ = adapted(raw, never, adapt="on", values=40)
    np.testing.assert_array_equal(again.apply(later), head.apply(later))


def test_equal_pictures_can_be_adapted_to():
    raw = np.repeat(pictures(1)[0], LEAST, axis=0)
    head, _ = adapted(raw, never, adapt="on", values=40)
    assert np.isfinite(head.apply(raw)).all()


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ((0.9, 0.9, 0.9), "places"),
        ((0.9, 0.9, 0.896), "places"),
        ((0.9, 0.9, 0.89), "neighbours"),
        ((0.9, 0.89, 0.88), "plain"),
        ((0.8, 0.9, 0.81), "neighbours"),
    ],
)
def test_each_head_is_taken_only_where_copies_are_found_as_well(monkeypatch, found: tuple[float, ...], chosen: str):
    raw, _ = pictures(LINKED)
    rows, copies = copies_of(raw, 0.1)
    shares = iter(found)
    monkeypatch.setattr(adaptation, "originals_first", lambda *given: next(shares))
    head, decision = adapted(raw, lambda: (rows, copies), values=40)
    assert decision.chosen == chosen
    assert tuple(decision.found.values()) == found
    assert (head.places is not None) == (chosen == "places")
    assert f"{found[0]:.1%}" in decision.text


def test_of_few_hundred_pictures_only_the_neighbours_are_looked_at():
    raw, _ = pictures(LINKED - 1)
    rows, copies = copies_of(raw, 0.01)
    head, decision = adapted(raw, lambda: (rows, copies), values=40)
    assert (decision.chosen, list(decision.found)) == ("neighbours", ["plain", "neighbours"])
    assert head.places is None


def test_what_decides_is_not_learned_from():
    """Else no copy of a picture that is added later would be looked at."""
    raw, _ = pictures(LINKED)
    rows, copies = copies_of(raw, 0.01)
    head, decision = adapted(raw, lambda: (rows, copies), values=40)
    assert decision.chosen == "places"
    assert head.places is not None
    assert len(head.places.anchors) == len(raw) - len(rows)
    assert decision.found["places"] == originals_first(head, raw, rows, copies)


def test_either_of_two_equal_pictures_is_the_original():
    raw, _ = pictures(50)
    twice = np.concatenate([raw, raw])
    plain, _ = adapted(twice, never, adapt="off", values=40)
    assert originals_first(plain, twice, np.arange(50), raw[None]) == 1
    assert originals_first(plain, twice, np.arange(50), raw[None, ::-1]) == 0
