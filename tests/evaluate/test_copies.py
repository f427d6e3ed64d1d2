"""What edited copies of a collection's own pictures find: shares that are known by how the pictures are made."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.evaluate.copies.measure import measure_copies
from cbir.evaluate.copies.run import load_copies
from cbir.evaluate.draw.misses import ordinal, worst
from cbir.evaluate.options import CopiesOptions
from cbir.evaluate.run import RunError
from cbir.evaluate.twins import Point, Twins
from cbir.ingest.sources.source import SourceError
from cbir.model.distortion import COPIES, Distortion, DistortionKind
from cbir.search.options import RankingOptions
from cbir.search.searcher import Searcher


def blocks(seed: int, size: tuple[int, int] = (48, 48)) -> Image.Image:
    """Large blocks of random colours, different for each seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def way(apply) -> Distortion:
    return Distortion(DistortionKind("made", "up", lambda picture, strength, generator: apply(picture), (1,)), 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures without labels."""
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(12):
        blocks(number).save(place / f"{number:02}.png")
    return place


@pytest.fixture
def searcher(home: Path, folder: Path) -> Iterator[Searcher]:
    cbir.ingest(folder, encoder="pixels")
    with cbir.open("pictures") as opened:
        yield opened


def test_shares_are_those_of_originals_that_come_first_and_among_ten(searcher: Searcher):
    """Six pictures are copied faithfully; of six, the copy shows another picture."""
    first, last = blocks(0), blocks(11)

    def swapped(picture: Image.Image) -> Image.Image:
        """Return the last picture for some, which differs from their originals in many ways."""
        number = next(n for n in range(12) if blocks(n).tobytes() == picture.tobytes())
        return last if number < 6 else picture

    edits = [("none", way(lambda picture: picture)), ("swapped", way(swapped)), ("one", way(lambda picture: first))]
    run = measure_copies(searcher, edits)
    none, half, one = run.rows
    assert (none.first, none.among_ten) == (1, 1)
    assert half.first == 0.5
    assert one.first == pytest.approx(1 / 12)
    assert one.among_ten == pytest.approx(10 / 12)
    assert run.mean.first == pytest.approx((1 + 0.5 + 1 / 12) / 3)
    assert run.mean.among_ten == pytest.approx((1 + half.among_ten + 10 / 12) / 3)
    assert [row.edit for row in run.rows] == ["none", "swapped", "one"]
    assert {miss.found.uri for miss in run.misses if miss.edit == 1} == {"11.png"}
    assert len(run.misses) == 6 + 11
    # Places are those of a search.
    hits = searcher.search(first, 12, exact=True)
    ranked = [hit.uri for hit in hits]
    assert [run.places[row, 2] for row in range(12)] == [
        place if (place := ranked.index(picture.uri)) < 10 else -1 for picture in run.pictures
    ]
    darker = first.point(lambda value: value // 2)
    run = measure_copies(searcher, [("darker", way(lambda picture: darker))])
    hits = searcher.search(darker, 12, exact=True)
    distances = {hit.uri: hit.distance for hit in hits}
    for miss in run.misses:
        expected = hits[0].distance / distances[run.pictures[miss.picture].uri]
        assert miss.closeness == pytest.approx(expected, rel=1e-4)


def test_pictures_are_drawn_by_seed_and_edited_alike(searcher: Searcher):
    def measured(**options: int):
        return measure_copies(searcher, COPIES, CopiesOptions(**options))

    one, same, other = measured(queries=5, seed=1), measured(queries=5, seed=1), measured(queries=5, seed=2)
    assert one.pictures == same.pictures != other.pictures
    assert len(set(one.pictures)) == 5
    assert (one.places == same.places).all()
    assert one.misses == same.misses
    assert len(measured(queries=500)) == 12


def test_an_identical_picture_is_as_good_as_the_original(home: Path, folder: Path):
    shutil.copy(folder / "03.png", folder / "also 03.png")  # the same file
    blocks(4).save(folder / "also 04.png", compress_level=0)  # the same picture
    shutil.copy(folder / "05.png", folder / "06.png")
    report = cbir.ingest(folder, encoder="pixels")
    assert (report.points, report.copies) == (12, 2)
    made = cbir.evaluate_copies("pictures", ["jpeg=90"])
    assert made.rows[0].first == 1
    assert made.misses is None
    assert not list(made.run_file.parent.glob("*.png"))


def test_pictures_that_an_encoder_cannot_tell_apart_are_no_twins(home: Path, tmp_path: Path):
    """The histogram of a picture and of its mirrored image are the same."""
    (tmp_path / "p").mkdir()
    blocks(0, (60, 60)).save(tmp_path / "p" / "a.png")
    blocks(0, (60, 60)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "p" / "b.png")
    cbir.ingest(tmp_path / "p", encoder="color-histogram")
    with cbir.open("p") as searcher:
        one, other = searcher.search(tmp_path / "p" / "a.png")
        assert one.distance == pytest.approx(other.distance, abs=1e-6)
        run = measure_copies(searcher, [("none", way(lambda picture: picture))])
    assert run.rows[0].first == 0.5


def test_pictures_that_are_gone_are_left_out_and_reported(home: Path, folder: Path):
    cbir.ingest(folder, encoder="pixels")
    (folder / "02.png").unlink()
    (folder / "07.png").write_text("no picture")
    with pytest.warns(cbir.CbirWarning, match=r"2 of 12 pictures can no longer be opened.*\(the first: .*0[27]\.png"):
        made = cbir.evaluate_copies("pictures", ["mirror"])
    assert len(made.run) == 10
    document = made.as_json()
    assert sorted(left["uri"] for left in document["unreadable"]) == ["02.png", "07.png"]
    assert all(left["reason"] for left in document["unreadable"])
    assert cbir.evaluate_copies(from_run=made.run_file).run.unreadable == made.run.unreadable
    folder.rename(folder.with_name("moved"))
    with pytest.raises(cbir.CbirError, match=r"none of the pictures.*does not exist.*ingest it from its new place"):
        cbir.evaluate_copies("pictures", ["mirror"])


def test_pictures_of_a_dataset_that_is_gone_are_left_out_and_are_nobody_s_twins(home: Path, folder: Path):
    blocks(4).save(folder / "also 04.png", compress_level=0)  # the same picture in another file
    cbir.ingest(folder, encoder="pixels")
    with cbir.open("pictures") as searcher:
        opened = searcher.open_picture

        def without(uri: str) -> Image.Image:
            if Path(uri).name == "04.png":
                raise SourceError("mnist is not on this machine")
            return opened(uri)

        searcher.open_picture = without
        reports: list[tuple[object, ...]] = []
        run = measure_copies(
            searcher, [("none", way(lambda picture: picture))], progress=lambda *report: reports.append(report)
        )
    assert run.unreadable == (("04.png", "mnist is not on this machine"),)
    assert len(run) == 12
    assert reports == [("load", 13, 13), ("copies", 13, 13)]  # what cannot be opened is done with too


def test_fewer_than_two_images_are_refused(home: Path, folder: Path):
    cbir.ingest(folder, encoder="pixels", limit=1)
    with pytest.raises(cbir.CbirError, match="holds one image"):
        cbir.evaluate_copies("pictures")


def test_steps_around_a_search_are_followed_also_where_features_were_smoothed(home: Path, folder: Path):
    cbir.ingest(folder, encoder="pixels", smooth=2)
    edits = [("faint", way(lambda picture: Image.blend(picture, blocks(3), 0.55)))]
    with cbir.open("pictures") as searcher:
        for steps in ({}, {"expand": 4}, {"rerank": True}):
            run = measure_copies(searcher, edits, CopiesOptions(**steps))
            for picture, place in zip(run.pictures, run.places[:, 0], strict=True):
                copy = edits[0][1](searcher.open_stored({"source": picture.source, "uri": picture.uri}), None)
                ranked = [hit.id for hit in searcher.search(copy, 10, exact=True, **steps)]
                assert place == (ranked.index(picture.id) if picture.id in ranked else -1)
            assert run.about["smooth"] == 2
            assert {name: run.about[name] for name in ("expand", "rerank")} == {"expand": 0, "rerank": False, **steps}
            assert len({*run.places[:, 0].tolist()}) > 1  # or nothing was compared


def test_what_is_stored_is_read_again(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    cbir.ingest(folder, encoder="color-histogram")
    made = cbir.evaluate_copies("pictures", seed=3)
    place = made.run_file.parent
    assert place.parent == home / "runs"
    assert sorted(path.name for path in place.iterdir()) == ["copies.npz", "misses.png", "scores.json"]
    assert json.loads((place / "scores.json").read_text(encoding="utf-8")) == made.as_json()
    assert [row.edit for row in made.rows] == [name for name, _ in COPIES]
    document, run = made.as_json(), made.run
    assert {name: document[name] for name in ("collection", "database", "pictures", "depth", "smooth", "seed")} == {
        "collection": "pictures",
        "database": 12,
        "pictures": 12,
        "depth": 10,
        "smooth": 0,
        "seed": 3,
    }
    assert {**RankingOptions().ranking, "fingerprint": run.about["fingerprint"]}.items() <= document.items()
    assert document["rows"] == [
        {"edit": row.edit, "first": row.first, "among_ten": row.among_ten, "distortion": str(distortion)}
        for row, (_, distortion) in zip(made.rows, COPIES, strict=True)
    ]
    assert document["mean"] == {"first": made.mean.first, "among_ten": made.mean.among_ten}
    places = [int(run.places[miss.picture, miss.edit]) for miss in worst(run)]
    assert document["worst"] == [
        {
            "edit": COPIES[miss.edit][0],
            "original": run.pictures[miss.picture].uri,
            "place": None if place < 0 else place + 1,
            "first": miss.found.uri,
        }
        for miss, place in zip(worst(run), places, strict=True)
    ]
    assert min(places) < 0 < max(places)
    assert (document["misses"], document["run"]) == (str(place / "misses.png"), str(place / "copies.npz"))
    monkeypatch.setenv("CBIR_HOME", str(home / "empty"))
    again = cbir.evaluate_copies(from_run=place)
    assert again.as_json() == made.as_json()
    assert again.run.misses == made.run.misses
    for given in ({"distort": ["blur"]}, {"queries": 3}, {"seed": 1}, {"rerank": True}, {"collection": "pictures"}):
        with pytest.raises(cbir.CbirError, match=f"leave out {next(iter(given))}, or from_run"):
            cbir.evaluate_copies(from_run=place, **given)


def test_a_damaged_run_and_one_of_a_newer_cbir_are_refused(home: Path, folder: Path, tmp_path: Path):
    cbir.ingest(folder, encoder="pixels")
    stored = cbir.evaluate_copies("pictures", ["mirror", "grey"], queries=4).run_file
    with pytest.raises(RunError, match="no run"):
        load_copies(tmp_path / "none.npz")
    content = stored.read_bytes()
    damaged = tmp_path / "damaged.npz"
    for position in range(0, len(content), 17):
        damaged.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        with suppress(RunError):  # some bytes do not matter; no other error may come
            load_copies(damaged)
    with np.load(stored) as arrays:
        facts, places = json.loads(str(arrays["facts"])), arrays["places"]

    def refused(match: str, places: np.ndarray = places, **changed: object) -> None:
        np.savez(damaged, facts=json.dumps({**facts, **changed}), places=places)
        with pytest.raises(RunError, match=match):
            load_copies(damaged)

    refused("is not a stored run of edited copies, or is damaged", places=places[:-1])
    refused("or is damaged", places=np.zeros_like(places))
    refused("or is damaged", misses=facts["misses"][:-1])
    refused("or is damaged", edits=[])
    for wrong in (None, 7, [], {}, "x"):
        for name in ("collection", "database", "about", "edits", "pictures", "misses", "unreadable"):
            if type(wrong) is not type(facts[name]):
                refused("or is damaged", **{name: wrong})
        for name in ("pictures", "edits"):
            one = {**facts[name][0], next(iter(facts[name][0])): 7}
            refused("or is damaged", **{name: [one, *facts[name][1:]]})
    refused("or is damaged", format="2")
    refused(r"written by a newer cbir \(format 2; this one reads up to 1\): upgrade cbir", format=2)
    np.savez(damaged, facts=json.dumps({**facts, "more": 1}), places=places)
    assert load_copies(damaged).rows == load_copies(stored).rows


def test_the_picture_shows_misses_of_many_edits_and_of_each_the_worst(searcher: Searcher):
    others = [blocks(100 + number) for number in range(4)]
    edits = [(f"other {n}", way(lambda picture, shown=shown: shown)) for n, shown in enumerate(others)]
    run = measure_copies(searcher, edits)
    chosen = worst(run, 3)
    assert [miss.edit for miss in chosen] == sorted({miss.edit for miss in chosen})
    assert len(chosen) == 3
    chosen = worst(run, 6)
    assert {miss.edit for miss in chosen} == {0, 1, 2, 3}
    for edit in range(4):
        of_edit = sorted(miss.closeness for miss in run.misses if miss.edit == edit)
        shown = [miss.closeness for miss in chosen if miss.edit == edit]
        assert shown == of_edit[: len(shown)]


def test_points_of_one_file_are_twins_unseen(searcher: Searcher):
    """In collections of before points were contents: the files may be gone."""
    one, same = (Point(name, {"sha256": "0f", "uri": f"{name}.png"}, None) for name in ("one", "same"))
    assert Twins(searcher).same(one, same)
    assert not Twins(searcher).same(one, Point("other", {"sha256": "f0", "uri": "other.png"}, None))
    assert not Twins(searcher).same(Point("one", {}, None), Point("other", {}, None))


@pytest.mark.parametrize("length", [0.001, 1, 1000])
def test_points_are_twins_if_features_are_close_and_pixels_the_same(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, length: float
):
    blocks(4).save(folder / "also 04.png", compress_level=0)
    cbir.ingest(folder, encoder="pixels")
    (folder / "02.png").unlink()
    (folder / "07.png").unlink()
    opened: list[str] = []

    def point(name: str, scale: float | None = 1) -> Point:
        feature = None if scale is None else np.full(4, length * scale, np.float32)
        return Point(name, {"source": "pictures", "uri": f"{name}.png"}, feature)

    with cbir.open("pictures") as searcher:
        open_stored = searcher.open_stored
        monkeypatch.setattr(
            searcher, "open_stored", lambda payload: (opened.append(payload["uri"]), open_stored(payload))[1]
        )
        twins = Twins(searcher)
        for scale, expected in ((1, True), (1.009, True), (0.991, True), (1.011, False), (0.989, False), (None, False)):
            assert twins.same(point("04"), point("also 04", scale)) is expected
        assert not twins.same(point("04", None), point("also 04"))
        assert not twins.same(point("04"), point("05"))
        assert not twins.same(point("04"), point("02"))
        assert not twins.same(point("02"), point("07"))
    assert sorted(opened) == ["02.png", "04.png", "05.png", "also 04.png"]  # each once, and none in vain


def test_places_are_said_as_people_say_them():
    assert [ordinal(place) for place in (1, 2, 3, 9, -1)] == ["2nd", "3rd", "4th", "10th", "not among ten"]
