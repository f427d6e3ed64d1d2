"""Copies of a query's picture say nothing about an encoder: they are left out of its ranking, and counted."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from tests.commands import run


def noise(seed: int) -> Image.Image:
    """A picture that is like no other, least of all its mirror image."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (28, 28, 3), np.uint8))


@pytest.fixture
def once(tmp_path: Path) -> Path:
    """Three classes of four pictures."""
    for number in range(12):
        (tmp_path / "once" / f"class {number % 3}").mkdir(parents=True, exist_ok=True)
        noise(number).save(tmp_path / "once" / f"class {number % 3}" / f"{number}.png")
    return tmp_path / "once"


@pytest.fixture
def twice(once: Path) -> Path:
    """The same; of a class, two pictures are stored in another format too, and one of those in a third."""
    folder = once.with_name("twice")
    for path in once.rglob("*.png"):
        place = folder / path.relative_to(once)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    with Image.open(folder / "class 0" / "0.png") as first, Image.open(folder / "class 0" / "3.png") as second:
        first.save(folder / "class 0" / "0 again.bmp")
        first.save(folder / "class 0" / "0 thrice.tif")
        second.save(folder / "class 0" / "3 again.bmp")
    return folder


@pytest.mark.parametrize(
    ("ingested", "evaluated"), [({}, {}), ({}, {"expand": 2, "rerank": True}), ({"smooth": 1}, {})]
)
def test_scores_are_those_of_pictures_that_are_stored_once(
    home: Path, once: Path, twice: Path, ingested: dict[str, int], evaluated: dict[str, int]
):
    for folder in (once, twice):
        cbir.ingest(folder, encoder="pixels", **ingested)
    with pytest.warns(cbir.CbirWarning, match="averages") if ingested else nullcontext():
        made = cbir.evaluate("twice", depths=[1, 14], **evaluated)
    asked = dict(zip(made.run.query_uris, made.run.copies, strict=True))
    assert {uri: copies for uri, copies in asked.items() if copies} == {
        "class 0/0.png": 2,
        "class 0/0 again.bmp": 2,
        "class 0/0 thrice.tif": 2,
        "class 0/3.png": 1,
        "class 0/3 again.bmp": 1,
    }
    assert (made.scores.with_copies, made.scores.copies_left_out, made.scores.queries) == (5, 8, 15)
    assert (made.scores.ann_recall_at_10, made.scores.recall_at[14]) == (1, 1)
    first = made.run.query_uris.tolist().index("class 0/0.png")
    assert not np.stack(made.run.bits(first, first + 1))[..., -2:].any()  # two copies stand last, for nothing
    if not (ingested or evaluated):
        alone = cbir.evaluate("once", depths=[1])
        expected = dict(zip(alone.run.query_uris, alone.run.bits(0, 12)[0][:, 0], strict=True))
        found = dict(zip(made.run.query_uris, made.run.bits(0, 15)[0][:, 0], strict=True))
        assert {uri: found[uri] for uri in expected} == expected
        assert (alone.scores.with_copies, alone.scores.copies_left_out) == (0, 0)


def test_features_of_copies_may_differ_by_rounding(home: Path, twice: Path):
    """As those of one picture do that was encoded in another batch, in eight bits."""
    cbir.ingest(twice, encoder="pixels")
    with cbir.open("twice") as searcher:
        (page,) = searcher.collection.scroll()
        vectors = page.vectors * np.random.default_rng(0).uniform(0.999, 1.001, page.vectors.shape).astype(np.float32)
        searcher.collection.upsert(page.ids, vectors, page.payloads)
    scores = cbir.evaluate("twice", depths=[1]).scores
    assert (scores.with_copies, scores.copies_left_out) == (5, 8)


def test_a_query_is_not_expanded_by_its_copies(home: Path, twice: Path):
    """The mean of a picture and its nearest is half as far from that, if it is another one."""
    cbir.ingest(twice, encoder="pixels")
    plain, expanded = cbir.evaluate("twice").run, cbir.evaluate("twice", expand=1).run
    assert plain.query_uris.tolist() == expanded.query_uris.tolist()
    np.testing.assert_allclose(expanded.exact_distances[:, 0], plain.exact_distances[:, 0] / 2, rtol=1e-4)


def test_where_copies_leave_less_than_ten_the_rest_is_empty(home: Path, tmp_path: Path):
    for label, number in (("a", 0), ("a", 1), ("b", 2)):
        (tmp_path / "few" / label).mkdir(parents=True, exist_ok=True)
        noise(number).save(tmp_path / "few" / label / f"{number}.png")
    noise(0).save(tmp_path / "few" / "a" / "0 again.bmp")
    cbir.ingest(tmp_path / "few", encoder="pixels")
    made = cbir.evaluate("few")
    kept = dict(zip(made.run.query_uris, (made.run.exact_ids != "").sum(axis=1), strict=True))
    assert kept == {"a/0.png": 2, "a/0 again.bmp": 2, "a/1.png": 3, "b/2.png": 3}
    assert (np.sort(made.run.exact_ids) == np.sort(made.run.served_ids)).all()
    assert made.scores.ann_recall_at_10 == 1
    with Image.open(cbir.compare(tmp_path / "few", ["pixels"]).lineup) as lineup:  # which has no place for nothing
        assert lineup.width > 4 * 100


def test_they_are_told_and_stored(home: Path, twice: Path):
    cbir.ingest(twice, encoder="pixels")
    told = "left out of the rankings: 8 stored copies of the pictures of 5 queries"
    assert told in run("evaluate", "--no-copies").stdout
    document = json.loads(run("evaluate", "--no-copies", "--json").stdout)
    assert (document["with_copies"], document["copies_left_out"]) == (5, 8)
    again = cbir.evaluate(from_run=document["run"]).as_json()
    assert {**again, "curve": document["curve"], "copies": None} == document
    assert told in run("evaluate", "--distort", "mirror").stdout


def test_a_query_whose_only_relatives_are_its_copies_cannot_be_answered(home: Path, twice: Path):
    for path in (twice / "class 0").glob("*.*"):
        if not path.name.startswith("0"):
            path.unlink()
    cbir.ingest(twice, encoder="pixels")
    scores = cbir.evaluate("twice", depths=[5]).scores
    assert (scores.queries, scores.without_relevant) == (11, 3)
    assert scores.answerable.queries == 8
    assert scores.map == pytest.approx(scores.answerable.map * 8 / 11)
    printed = run("evaluate", "--no-copies").stdout
    assert "the 8 queries of 11 that can be answered" in printed
    assert f"mAP {scores.map:.3f} ({scores.answerable.map:.3f} of those that can be answered)" in printed
    assert "3 queries of 11 cannot be answered, as no other stored image has their label: LRAP gives 1 there" in printed


def test_what_an_encoder_cannot_tell_apart_is_no_copy(home: Path, tmp_path: Path):
    """A mirrored picture has the same colours."""
    for number in range(4):
        folder = tmp_path / "colours" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        noise(number).save(folder / f"{number}.png")
        noise(number).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{number} mirrored.png")
    cbir.ingest(tmp_path / "colours", encoder="color-histogram")
    scores = cbir.evaluate("colours", depths=[1]).scores
    assert (scores.precision_at[1], scores.copies_left_out) == (1, 0)


def test_pictures_that_are_equally_far_share_the_last_rank(home: Path, tmp_path: Path):
    """Of each query one picture is as near as can be, and two of the others, one of them right, tie behind it."""
    for number in range(2):
        for label, shown in (("a", noise(number)), ("b", noise(number).transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
            (tmp_path / "ties" / label).mkdir(parents=True, exist_ok=True)
            shown.save(tmp_path / "ties" / label / f"{number}.png")
    cbir.ingest(tmp_path / "ties", encoder="color-histogram")
    made = cbir.evaluate("ties", depths=[1, 2, 3])
    assert made.scores.lrap == pytest.approx({1: 1, 2: 3 / 4, 3: 1 / 3})
    assert made.scores.map == pytest.approx(1 / 3)
    assert made.run.bits(0, 4)[1].tolist() == [[False, False, True]] * 4
    assert made.scores.ann_recall_at_10 == 1


def test_copies_that_cannot_be_opened_are_warned_of(home: Path, twice: Path):
    cbir.ingest(twice, encoder="pixels")
    twice.rename(twice.with_name("elsewhere"))
    with pytest.warns(cbir.CbirWarning, match=r"5 stored pictures cannot be opened, but may be copies .*too high"):
        assert cbir.evaluate("twice", depths=[1]).scores.copies_left_out == 0
