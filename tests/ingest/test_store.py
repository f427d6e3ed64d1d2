"""What becomes of each item of a batch, in the collection and in the report."""

import math
from dataclasses import astuple, fields, replace
from typing import Any

import numpy as np
import pytest

from cbir.collection.damage import Damage
from cbir.collection.place import Place, places_of
from cbir.collection.point import Payload, content_id, point_id
from cbir.ingest.claim import State
from cbir.ingest.encode import Encoded
from cbir.ingest.read import Batch, Failed, Fresh, Known
from cbir.ingest.sources.source import STAMP, Item
from cbir.ingest.store import MOST_NAMED, Stored, merged, store
from tests.ingest.kept import claim, point, table, uris


class Unmounted:
    """What `Gone` answers: here, places of some names are gone, and one file was in a list before."""

    def __init__(self, *gone: str, top: dict[str, tuple[str, str]] | None = None):
        self.gone, self.top = gone, top or {}

    def is_gone(self, place: Place) -> bool:
        return place.uri in self.gone

    def located(self, place: Place) -> str:
        return f"/{place.source}/{place.uri}"

    def places_of(self, item: Item) -> list[tuple[str, str]]:
        return [item.place, *([self.top[item.uri]] if item.uri in self.top else [])]


def item(uri: str, label: str | None = None, stamp: tuple[int, ...] = (7, 1, 2, 3), **payload: Any) -> Item:
    def never() -> Any:
        raise AssertionError

    described = payload.pop("described", True)
    whole = {**dict(zip(STAMP, stamp, strict=True)), **payload}
    return Item(uri, label, "photos", never, never, whole, f"/photos/{uri}", described)


class Run:
    """Items are stored one after the other."""

    def __init__(self, points: dict[str, Payload], gone: Unmounted | None = None, damage: Damage | None = None):
        self.collection, self.places = table(points, damage)
        self.gone = gone or Unmounted()
        self.log: list[dict[str, Any]] = []
        self.lasting: list[str] = []

    def note(self, item: Item, problem: str) -> None:
        self.lasting.append(f"{item.uri}: {problem}")

    def __call__(
        self, *, brightness: list[float] | None = None, codes: list[int] | None = None, **batch: Any
    ) -> Stored:
        fresh = batch.get("fresh", [])
        what = {"fresh": [], "made": {}, "known": [], "described": [], "failed": [], "coloured": 0, **batch}
        encoded = Encoded(
            Batch(pixels=np.empty(0, np.uint8), **what),
            np.zeros((len(fresh), 4), np.float32),
            np.array([0.5] * len(fresh) if brightness is None else brightness, np.float32),
            codes,
        )
        log = lambda what, **fields: self.log.append({"what": what, **fields})  # noqa: E731
        done = store(encoded, self.collection, self.places, self.gone, log, self)  # type: ignore[arg-type]
        assert done.upsert_seconds > 0
        return replace(done, upsert_seconds=0.0)

    def payload(self, sha256: str) -> Payload:
        return self.collection.points[content_id(sha256)]

    def state(self, uri: str) -> State:
        return claim(self.places, uri).state


A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def test_a_new_content_is_a_point_with_all_that_is_known_of_it():
    run = Run({})
    details = {"width": 28, "warning": "truncated", "camera": "of the file"}
    fresh = [
        Fresh(item("x/1.png", "x", camera="of a table", sha256="never"), A, details),
        Fresh(replace(item("set:1"), content=None, payload={"index": 1}), None, {}),
        Fresh(item("x/2.png", stamp=(8, 4, 5, 6)), B, {"width": 29}),
    ]
    done = run(fresh=fresh, brightness=[0.123456, 0.5, 1], codes=[5, 6, 7], coloured=2)
    ((mean, spread, count),) = [done.background or (0, 0, 0)]
    assert (count, mean) == (3, pytest.approx(0.541152))
    assert spread == pytest.approx(np.std([0.123456, 0.5, 1]))
    warned = (("x/1.png", "/photos/x/1.png: truncated"),)
    assert replace(done, background=None) == Stored(ingested=3, warned=1, coloured=2, warnings=warned)
    assert run.log == [{"what": "warning", "source": "photos", "uri": "x/1.png", "reason": "truncated"}]
    first, second = dict(run.payload(A)), dict(run.payload(B))
    for payload in (first, second):
        assert payload.pop("ingested_at").endswith("Z")
    stamp = {"bytes": 7, "modified": 1, "inode": 2, "changed": 3}
    place = {"source": "photos", "uri": "x/1.png", "folder": "x", "name": "1.png", **stamp}
    own = {"label": "x", "sha256": A, "width": 28, "camera": "of a table", "warning": "truncated"}
    assert first == {**own, "border_brightness": 0.1235, "code": 5, **place}
    assert (second["code"], second["border_brightness"], second["bytes"], "label" in second) == (7, 1, 8, False)
    image = run.collection.points[point_id("photos", "set:1")]
    assert image == {"source": "photos", "uri": "set:1", "index": 1, "border_brightness": 0.5, "code": 6}
    assert (claim(run.places, "x/1.png").id, run.state("x/1.png")) == (content_id(A), State.SURE)
    assert claim(run.places, "x/1.png").first
    assert run.places.at("photos", "set:1") == []
    assert run.places.backgrounds() == (pytest.approx(0.541167, abs=1e-6), pytest.approx(spread, abs=1e-4), 3)
    assert run() == Stored()


def test_a_picture_that_replaces_another_keeps_what_other_tools_said_of_the_place():
    old = point("x/1.png", "x/2.png", sha256=B, label="old", caption="theirs", width=1, ingested_at="long ago")
    run = Run({content_id(B): old})
    assert run(fresh=[Fresh(item("x/1.png", "x"), A, {})]).ingested == 1
    new = run.payload(A)
    assert (new["caption"], new["label"], new.get("width"), uris(new)) == ("theirs", "x", None, ["x/1.png"])
    assert sorted(each.state for each in run.places.at("photos", "x/1.png")) == [State.SURE, State.DISPLACED]
    # What was a copy there says nothing of it.
    assert "caption" not in (run(fresh=[Fresh(item("x/2.png", "x"), C, {})]), run.payload(C))[1]
    # A list that knows no labels leaves the label that was there.
    run = Run({content_id(B): old})
    run(fresh=[Fresh(item("x/1.png", described=False), A, {})])
    assert run.payload(A)["label"] == "old"
    run = Run({content_id(B): old})
    run(fresh=[Fresh(item("x/1.png"), A, {})])
    assert "label" not in run.payload(A)


def test_what_is_listed_in_a_folder_displaces_what_the_list_called_otherwise():
    run = Run(
        {content_id(B): point("photos/x/1.png", sha256=B)}, Unmounted(top={"x/1.png": ("photos", "photos/x/1.png")})
    )
    run(fresh=[Fresh(item("x/1.png"), A, {})])
    assert run.state("photos/x/1.png") is State.DISPLACED


def test_a_damaged_point_that_is_stored_again_keeps_its_places_and_what_other_tools_added():
    old = point("x/1.png", "y/1.png", sha256=A, label="x", caption="theirs")
    run = Run({content_id(A): old}, damage=Damage(vectors=(content_id(A),)))
    run(fresh=[Fresh(item("x/1.png", "x", (7, 9, 9, 9)), A, {})])
    found = run.payload(A)
    assert (uris(found), found["caption"], found["modified"]) == (["x/1.png", "y/1.png"], "theirs", 9)
    assert run.state("y/1.png") is State.UNSEEN
    assert [each.place.uri for each in run.places.of_content(claim(run.places, "x/1.png").content)] == [
        "x/1.png",
        "y/1.png",
    ]


def test_what_cannot_be_read_is_named_for_each_file_that_it_is_in():
    run = Run({content_id(B): point("b.png", sha256=B)})
    done = run(
        failed=[
            Failed(item("1.png"), "/photos/1.png is no picture", A, lasting=True),
            Failed(item("2.png"), "/photos/2.png cannot be opened"),
        ]
    )
    told = (("1.png", "/photos/1.png is no picture"), ("2.png", "/photos/2.png cannot be opened"))
    assert done == Stored(skipped=2, unreadable=told)
    assert run.log == [{"what": "skipped", "source": "photos", "uri": u, "reason": reason} for u, reason in told]
    assert run.lasting == ["1.png: /photos/1.png is no picture"]
    run.places.expect(content_id(A), A)
    assert run(failed=[Failed(item("1.png"), "/photos/1.png is no picture", A)]).skipped == 1
    copies = [Known(item("copy.png"), A), Known(item("unknown.png"), C), Known(item("b.png"), B)]
    done = run(known=copies)
    assert (done.skipped, done.unchanged) == (2, 1)
    assert done.unreadable == (
        ("copy.png", "/photos/copy.png is no picture"),
        ("unknown.png", "/photos/unknown.png cannot be read"),
    )
    # It could be read after all: the next copy is one.
    assert run(fresh=[Fresh(item("1.png"), A, {})]).ingested == 1
    assert run(known=[Known(item("copy.png"), A)]).copies == 1
    assert uris(run.payload(A)) == ["1.png", "copy.png"]


@pytest.mark.parametrize(
    ("label", "stored", "conflicting"), [("x", "x", 0), ("x", "y", 1), (None, "y", 0), ("x", None, 0)]
)
def test_another_file_of_a_content_is_a_copy(label: str | None, stored: str | None, conflicting: int):
    before = point("1.png", sha256=A, caption="theirs", **({} if stored is None else {"label": stored}))
    run = Run({content_id(A): before})
    run.places.sure([claim(run.places, "1.png").number])
    done = run(known=[Known(item("2.png", label, (7, 4, 5, 6), note="n"), A, {"format": "PNG"})])
    assert done == Stored(copies=1, conflicting=conflicting)
    found = run.payload(A)
    assert {**before, "format": "PNG", "copies": found["copies"]} == found
    assert list(places_of(found))[1] == Place("photos", "2.png", (7, 4, 5, 6))
    copy = claim(run.places, "2.png")
    assert (copy.added, copy.first, copy.state, copy.detailed) == (True, False, State.SURE, True)
    assert run.places.described(copy) == {"note": "n", **({} if label is None else {"label": label})}
    assert run.log == []
    # As a copy whose source knows no labels, it leaves open what it would be called.
    run(known=[Known(item("3.png", described=False), A)])
    assert run.places.described(claim(run.places, "3.png")) is None


@pytest.mark.parametrize("why", ["gone", "displaced", "there", "another disk"])
def test_a_file_has_moved_if_it_is_no_longer_where_it_was(why: str):
    before = point("1.png", sha256=A, label="old", caption="theirs", camera="c")
    run = Run({content_id(A): before}, Unmounted(*["1.png"] * (why == "gone")))
    if why == "displaced":
        run(fresh=[Fresh(item("1.png"), B, {})])
    elif why == "there":
        run.places.sure([claim(run.places, "1.png").number])
    run.log.clear()
    done = run(known=[Known(item("2.png", "new", (7, 4, 5, 6)), A)])
    found = run.payload(A)
    if why in {"there", "another disk"}:
        assert (done, uris(found)) == (Stored(copies=1, conflicting=1), ["1.png", "2.png"])
        return
    assert (done, uris(found)) == (Stored(moved=1), ["2.png"])
    assert (found["label"], found["caption"], found["modified"]) == ("new", "theirs", 4)
    moved = {"what": "moved", "source": "photos", "uri": "2.png", "before_source": "photos", "before_uri": "1.png"}
    assert run.log == [moved]
    now = claim(run.places, "2.png")
    assert (now.first, now.added, now.state, run.places.described(now)) == (True, False, State.SURE, None)


def test_a_copy_that_moves_takes_its_place_among_the_others():
    before = point("1.png", "2.png", "3.png", sha256=A, label="old")
    run = Run({content_id(A): before}, Unmounted("2.png"))
    run.places.sure(claim(run.places, uri).number for uri in ("1.png", "3.png"))
    assert run(known=[Known(item("9.png", "new", (7, 4, 5, 6)), A, {"width": 1})]) == Stored(moved=1)
    found = run.payload(A)
    assert (uris(found), found["label"], found["width"]) == (["1.png", "9.png", "3.png"], "old", 1)
    assert next(place for place in places_of(found) if place.uri == "9.png").stamp == (7, 4, 5, 6)
    assert run.places.at("photos", "2.png") == []
    now = claim(run.places, "9.png")
    assert (now.first, run.places.described(now)) == (False, {"label": "new"})


def test_a_file_that_was_touched_is_described_anew():
    before = point("1.png", "2.png", sha256=A, label="old", caption="theirs")
    run = Run({content_id(A): before})
    assert run(known=[Known(item("1.png", "new", (7, 4, 5, 6)), A)]) == Stored(updated=1)
    found = run.payload(A)
    assert (uris(found), found["label"], found["modified"], found["caption"]) == (
        ["1.png", "2.png"],
        "new",
        4,
        "theirs",
    )
    assert run(known=[Known(item("1.png", "new", (7, 4, 5, 6)), A)]) == Stored(unchanged=1)
    assert run(known=[Known(item("2.png", "other", (7, 8, 8, 8)), A)]) == Stored(updated=1)
    found = run.payload(A)
    assert (uris(found), found["label"], found["modified"]) == (["1.png", "2.png"], "new", 4)
    assert run.places.described(claim(run.places, "2.png")) == {"label": "other"}
    # A list called the file otherwise.
    listed = replace(item("photos/1.png"), location="/photos/1.png", described=False)
    assert run(known=[Known(listed, A)]).updated == 1
    assert uris(run.payload(A)) == ["photos/1.png", "2.png"]
    assert run.log == []


def test_a_content_displaces_others_at_its_place():
    run = Run({content_id(A): point("1.png", sha256=A), content_id(B): point("2.png", sha256=B)})
    run(known=[Known(item("2.png"), A)])
    states = {each.id: each.state for each in run.places.at("photos", "2.png")}
    assert states == {content_id(A): State.SURE, content_id(B): State.DISPLACED}
    assert run.state("1.png") is State.UNSEEN


@pytest.mark.parametrize(
    ("before", "now", "counted"),
    [
        ("a", "a", {}),
        ("a", "b", {"relabelled": 1}),
        (None, "b", {"relabelled": 1}),
        ("a", None, {"relabelled": 1, "unlabelled": 1}),
        (None, None, {}),
    ],
)
def test_labels_that_change_are_counted(before: str | None, now: str | None, counted: dict[str, int]):
    run = Run({content_id(A): point("1.png", sha256=A, caption="c", **({} if before is None else {"label": before}))})
    run.places.sure([claim(run.places, "1.png").number])
    assert run(described=[item("1.png", now)]) == Stored(updated=1, **counted)
    assert (run.payload(A).get("label"), run.payload(A)["caption"]) == (now, "c")


def test_what_is_described_is_left_alone_if_its_point_has_another_first_place_meanwhile():
    run = Run({content_id(A): point("1.png", "2.png", sha256=A)})
    assert run(described=[item("1.png", "x"), item("2.png", "x"), item("3.png", "x")]) == Stored(unchanged=3)
    assert "label" not in run.payload(A)


def test_results_are_added_up():
    one = Stored(*range(1, 12), (("a", "1"),), (("b", "2"),), (0.5, 0.0, 1), 12.0, 13.0)
    two = Stored(*range(20, 31), (("c", "3"),) * 200, (("d", "4"),) * 200, (1.0, 0.0, 3), 32.0, 33.0)
    added = one + two
    named = ("unreadable", "warnings", "background")
    for field in fields(Stored):
        if field.name not in named:
            assert getattr(added, field.name) == getattr(one, field.name) + getattr(two, field.name)
    assert added.unreadable == (("a", "1"), *(("c", "3"),) * (MOST_NAMED - 1))
    assert added.warnings == (("b", "2"), *(("d", "4"),) * (MOST_NAMED - 1))
    assert added.background == (0.875, pytest.approx(math.sqrt(0.046875)), 4)
    assert one.items == sum((1, 2, 3, 4, 5, 7))
    assert astuple(Stored() + one) == astuple(one)


def test_statistics_of_two_are_those_of_all_values():
    values = np.array([0.1, 0.4, 0.4, 0.9, 1.0])
    of = [(float(part.mean()), float(part.std()), len(part)) for part in (values[:2], values[2:], values)]
    assert merged(of[0], of[1]) == pytest.approx(of[2])
    assert (merged(None, of[0]), merged(of[0], None), merged(None, None)) == (of[0], of[0], None)
