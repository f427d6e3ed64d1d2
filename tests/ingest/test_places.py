"""The table of stored places answers as the collection would, and what is settled by it is right in the collection."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.collection.damage import Damage
from cbir.collection.place import Place, places_of, with_places
from cbir.ingest.claim import State
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.report import silent_log
from cbir.ingest.settle import Settled, prune, settle
from cbir.ingest.sources.source import Source
from tests.collection.sample import METADATA
from tests.ingest.kept import Kept, claim, point, table, uris


def test_each_place_is_claimed_by_its_point():
    points = {
        "a": point("x/1.png", "y/1.png", sha256="h1", label="x", format="PNG"),
        "b": point("x/2.png", sha256="h2"),
        "c": point("/old/3.png"),
        "d": point("x/2.png", sha256="h4", size=8, format="PNG"),
        "e": {"source": "set", "uri": "set:1"},
    }
    told = []
    with Places.of(Kept(points), lambda *of: told.append(of)) as places:
        first, second = claim(places, "x/1.png"), claim(places, "y/1.png")
        assert (first.id, first.sha256, first.detailed, first.first, first.state) == (
            "a",
            "h1",
            True,
            True,
            State.UNSEEN,
        )
        assert (second.id, second.content, second.first, second.added) == ("a", first.content, False, False)
        assert (first.place.stamp, second.place) == ((7, 1, 2, 3), Place("photos", "y/1.png", (7, 1, 2, 3)))
        assert places.of_content(first.content) == [first, second]
        assert sorted(each.id for each in places.at("photos", "x/2.png")) == ["b", "d"]
        assert places.at("other", "x/1.png") == []
        assert (claim(places, "/old/3.png", "other").id, claim(places, "/old/3.png").sha256) == ("c", None)
        asked = [("photos", "y/1.png"), ("other", "x/1.png"), ("any", "/old/3.png"), ("photos", "x/2.png")]
        for glances, at in zip(places.glances(asked), asked, strict=True):
            assert sorted(glance[0] for glance in glances) == sorted(each.number for each in places.at(*at))
        ((whole,),) = places.glances([("photos", "x/1.png")])
        assert whole == (first.number, True, "x", 7, 1, 2, 3)
        assert [bool(glance[1]) for (glance,) in places.glances(asked[:1] + asked[2:3])] == [False, False]
        assert sorted(places.unseen("photos")) == sorted(
            (each.number, each.place.uri)
            for uri in ("x/1.png", "y/1.png", "x/2.png", "/old/3.png")
            for each in places.at("photos", uri)
        )
        assert claim(places, "set:1", "set").place == Place("set", "set:1", is_file=False)
        assert (places.stored_places("photos"), places.stored_places("other")) == (5, 0)
        assert set(places.payloads([first, second])) == {"a"}
        assert places.payloads([]) == {}
    assert told[-1] == ("compare", 0, None, "5 of 5 points")


def test_numbers_that_other_tools_wrote_do_not_stop_an_ingest():
    limits = {"low": -(1 << 63), "high": (1 << 63) - 1, "too low": -(1 << 63) - 1, "too high": 1 << 63}
    _, places = table({uri: point(uri, sha256=uri, size=size) for uri, size in limits.items()})
    sizes = {uri: claim(places, uri).place.stamp for uri in limits}
    assert sizes["low"] == (-(1 << 63), 1, 2, 3)
    assert sizes["high"] == ((1 << 63) - 1, 1, 2, 3)
    assert sizes["too low"] == sizes["too high"] == (None, 1, 2, 3)


def test_light_is_known_of_some_contents():
    light = {"a": 0, "b": 1, "c": 0.5, "d": -0.1, "e": 1.1, "f": "light", "g": None}
    _, places = table({uri: point(uri, sha256=uri, border_brightness=value) for uri, value in light.items()})
    assert places.unlit == 4
    assert places.backgrounds() == (pytest.approx(0.5), pytest.approx((1 / 6) ** 0.5), 3)
    content = places.content("d")
    assert content is not None
    places.lit([(content, 0.5)])
    assert places.backgrounds() == (pytest.approx(0.5), pytest.approx(0.125**0.5), 4)
    assert table({"d": point("d", sha256="d")})[1].backgrounds() is None
    assert Places().unlit == 0


def test_damaged_points_are_not_in_the_table_and_give_what_is_right_of_them():
    points = {name: point(f"{name}.png", sha256=name) for name in "abc"}
    _, places = table(points, Damage(vectors=("a",), fields=("c",)))
    assert [places.at("photos", f"{name}.png") == [] for name in "abc"] == [True, False, True]
    assert places.replaced("abc") == {"a": points["a"]}
    assert Places().replaced("a") == Places().payloads([claim(places, "b.png")]) == {}


def test_what_cannot_be_read_is_so_for_its_copies_until_one_can():
    _, places = table({"a": point("a.png", sha256="stored")})
    new = places.expect("b", "new")
    assert places.content("new") == new
    places.failed("new", "no picture", "1.png")
    places.failed("new", "another reason", "2.png")
    places.failed("stored", "it has a place, so that it could be read once", "a.png")
    found = places.content("new")
    assert found is not None
    assert (found.problem, found.located) == ("no picture", "1.png")
    assert getattr(places.content("stored"), "problem", "") is None
    places.recovered(new)  # as it was before: nothing to note
    assert getattr(places.content("new"), "problem", "") == "no picture"
    places.recovered(found)
    assert getattr(places.content("new"), "problem", "") is None
    assert places.content("unknown") is None


def test_of_equal_contents_the_one_that_claims_the_place_is_meant():
    _, places = table({name: point(f"{name}.png", sha256="same") for name in "ab"} | {"c": point("c.png", sha256="c")})
    meant = [places.content("same", place) for place in (None, ("photos", "a.png"), ("photos", "b.png"))]
    assert [getattr(content, "id", "") for content in meant] == ["a", "a", "b"]
    (numbers,) = places.same()
    assert numbers == [claim(places, f"{name}.png").content for name in "ab"]


def test_what_is_noted_is_answered():
    _, places = table({"a": point("1.png", "2.png", sha256="a"), "b": point("3.png", sha256="b"), "c": point("4.png")})
    one, two, three = (claim(places, f"{n}.png") for n in (1, 2, 3))
    places.note([(one, State.SURE), (two, State.UNSURE)], [(two, {"label": "x"})])
    assert [claim(places, f"{n}.png").state for n in (1, 2, 3)] == [State.SURE, State.UNSURE, State.UNSEEN]
    assert (places.described(one), places.described(two)) == (None, {"label": "x"})
    places.sure([two.number])
    assert list(places.with_state(State.SURE)) == [one.content]
    places.drop([one.number, three.number])
    assert sorted(places.with_state(State.DROPPED)) == [one.content, three.content]
    assert [uri for _, uri in places.unseen("photos")] == ["4.png"]
    places.detailed([one.content])
    assert [claim(places, f"{n}.png").detailed for n in (1, 3)] == [True, False]
    places.hashed(claim(places, "4.png").content, "d")
    assert getattr(places.content("d"), "id", "") == "c"
    places.promote(two)
    assert [each.place.uri for each in places.of_content(one.content)] == ["2.png", "1.png"]
    places.add(three.content, Place("photos", "5.png"), first=False, copy=True, described={"label": "y"})
    places.add(three.content, Place("photos", "6.png"), first=False)
    copy, other = claim(places, "5.png"), claim(places, "6.png")
    assert (copy.added, copy.state, places.described(copy)) == (True, State.SURE, {"label": "y"})
    assert (other.added, other.first, places.described(other)) == (False, False, None)
    assert list(places.copies_added()) == [("photos", "5.png", "photos", "3.png")]
    assert places.stored_places("photos") == 5  # but for the one that was added
    places.remove([other])
    assert places.at("photos", "6.png") == []
    places.hand_over([three, copy], one.content)
    assert {each.place.uri for each in places.of_content(one.content)} == {"1.png", "2.png", "3.png", "5.png"}
    assert [each.first for each in places.of_content(one.content)] == [True, False, False, False]
    assert places.content("b") is None
    places.remove_content(one.content)
    assert (places.of_content(one.content), places.content("a")) == ([], None)


def test_what_is_written_together_is_written_whatever_comes_after():
    _, places = table({"a": point("a.png", sha256="a")})
    with places.together(), places.together():
        places.drop([claim(places, "a.png").number])
    with pytest.raises(KeyError), places.together():
        raise KeyError
    assert claim(places, "a.png").state is State.DROPPED


# --- Settling


def test_a_place_that_shows_another_content_leaves_its_point():
    collection, places = table(
        {
            "a": point("1.png", "2.png", "3.png", sha256="a", label="one", caption="theirs"),
            "b": point("4.png", sha256="b"),
            "c": point("5.png", "6.png", sha256="c", label="five"),
            "d": point("7.png", sha256="d"),
        }
    )
    with places:
        displaced = [claim(places, f"{n}.png") for n in (1, 4, 6)]
        heir = claim(places, "3.png")
        places.note([(each, State.DISPLACED) for each in displaced], [(heir, {"label": "three"})])
        places.sure([heir.number])
        assert settle(collection, places) == Settled()
        # The place that was seen takes the turn, and says what the point is.
        assert uris(collection.points["a"]) == ["3.png", "2.png"]
        assert (collection.points["a"]["label"], collection.points["a"]["caption"]) == ("three", "theirs")
        assert (uris(collection.points["c"]), collection.points["c"]["label"]) == (["5.png"], "five")
        assert set(collection.points) == {"a", "c", "d"}
        assert places.content("b") is None
        assert [places.at("photos", f"{n}.png") for n in (1, 4, 6)] == [[], [], []]
        assert [each.place.uri for each in places.of_content(heir.content)] == ["3.png", "2.png"]


def test_what_a_point_is_stays_as_long_as_its_first_place_does():
    collection, places = table({"a": point("1.png", "2.png", "3.png", sha256="a", label="one")})
    with places:
        seen = claim(places, "3.png")
        places.note([(claim(places, "2.png"), State.DISPLACED)], [(seen, {"label": "three"})])
        places.sure([seen.number])
        settle(collection, places)
    assert (uris(collection.points["a"]), collection.points["a"]["label"]) == (["1.png", "3.png"], "one")


@pytest.mark.parametrize(("added", "displaced", "moved"), [(0, 2, 0), (1, 2, 1), (1, 1, 1), (2, 1, 1), (3, 2, 2)])
def test_what_looked_like_a_copy_has_moved_if_its_other_place_shows_another_content(
    added: int, displaced: int, moved: int
):
    points = {"a": point("0.png", "1.png", sha256="a"), "b": point("other 0.png", "other 1.png", sha256="b")}
    collection, places = table(points)
    with places:
        before = [claim(places, f"{n}.png") for n in range(displaced)]
        new = [Place("photos", f"new {n}.png") for n in range(added)]
        for place in new:
            places.add(before[0].content, place, first=False, copy=True)
        collection.points["a"] = with_places(collection.points["a"], [*places_of(collection.points["a"]), *new])
        places.note((each, State.DISPLACED) for each in before)
        # Another one in the same batch, of which nothing has moved.
        places.note([(claim(places, "other 0.png"), State.DISPLACED)])
        assert settle(collection, places).moved == moved
        if added:
            assert set(uris(collection.points["a"])) == {*(place.uri for place in new), *["1.png"] * (displaced == 1)}
        assert len(collection.points) == 1 + bool(added)


def test_two_points_of_one_content_become_one():
    collection, places = table({"a": point("1.png", sha256="x"), "b": point("2.png", sha256="x", caption="theirs")})
    with places:
        settle(collection, places)
        (kept,) = collection.points.values()
        assert (sorted(uris(kept)), kept["caption"]) == (["1.png", "2.png"], "theirs")
        assert claim(places, "1.png").content == claim(places, "2.png").content


def test_points_of_the_same_content_become_one_with_the_places_of_all():
    collection, places = table(
        {
            "a": point("1.png", sha256="same", label="one", note="a's", mine="a"),
            "b": point("2.png", "4.png", sha256="same", label="two", note="b's"),
            "c": point("3.png", sha256="same", label="three", note="c's", theirs="c"),
            "d": point("5.png", sha256="other"),
            "e": point("6.png"),
            "f": point("7.png"),
        }
    )
    with places:
        places.sure([claim(places, "2.png").number])  # it was seen, so that it stays
        settle(collection, places)
        merged = collection.points["b"]
        assert set(collection.points) == {"b", "d", "e", "f"}
        assert (uris(merged)[0], sorted(uris(merged))) == ("2.png", ["1.png", "2.png", "3.png", "4.png"])
        assert (merged["label"], merged["note"], merged["mine"], merged["theirs"]) == ("two", "b's", "a", "c")
        assert sorted(each.place.uri for each in places.of_content(claim(places, "2.png").content)) == [
            "1.png",
            "2.png",
            "3.png",
            "4.png",
        ]
        before = json.dumps(collection.points)
        settle(collection, places)
        assert json.dumps(collection.points) == before


# --- Pruning


class Listed(Source):
    """Folders of which some files were listed."""

    unlisted: Sequence[tuple[str, str]] = ()

    def __init__(self, counts: dict[str, tuple[Path, int]]):
        self._counts = counts

    @property
    def roots(self) -> dict[str, str]:
        return {name: str(path) for name, (path, _) in self._counts.items()}

    def __len__(self) -> int:
        return sum(count for _, count in self._counts.values())

    def count(self, name: str) -> int:
        return self._counts[name][1]


def test_nothing_is_pruned_of_a_root_that_is_not_there_nor_by_a_part_of_a_source(tmp_path: Path):
    source = Listed({"photos": (tmp_path / "unmounted", 20)})
    for complete, missing in ((True, 1), (False, 0)):
        collection, places = table({f"{n}": point(f"{n}.png", sha256=f"{n}") for n in range(21)})
        answers = Gone(source, replace(METADATA, roots=source.roots), complete=complete)
        with places:
            places.sure(claim(places, f"{n}.png").number for n in range(20))
            if missing:
                with pytest.warns(cbir.CbirWarning, match=f"{tmp_path}/unmounted does not exist"):
                    done = prune(collection, places, answers, source, silent_log, wanted=True, force=False)
            else:
                done = prune(collection, places, answers, source, silent_log, wanted=True, force=True)
        assert (done, len(collection.points)) == (Settled(gone=missing), 21)


def test_nothing_is_pruned_below_a_folder_that_could_not_be_listed(tmp_path: Path):
    source = Listed({"photos": (tmp_path, 20)})
    source.unlisted = [("photos", "a"), ("other", "b")]
    collection, places = table({name: point(f"{name}/1.png", sha256=name) for name in "ab"})
    with places:
        answers = Gone(source, replace(METADATA, roots=source.roots), complete=True)
        done = prune(collection, places, answers, source, silent_log, wanted=True, force=True)
    assert (done, set(collection.points)) == (Settled(pruned=1), {"a"})


@pytest.mark.parametrize(
    ("stored", "gone", "left_out", "reason"),
    [
        (20, 0, 0, ""),
        (12, 10, 0, ""),  # so few may be
        (22, 11, 0, "11 of 22 stored pictures are gone"),
        (23, 11, 0, ""),
        (20, 0, 10, ""),
        (22, 0, 11, "11 of 22 stored pictures are there, and left out now"),
        (23, 0, 11, ""),
        (11, 5, 5, ""),
        (32, 5, 11, "11 of 32 stored pictures are there, and left out now"),
        (33, 5, 11, ""),
        (5, 5, 0, "it holds no pictures at all"),
        (5, 0, 5, "5 of 5 stored pictures are there, and left out now"),
        (5, 2, 3, "3 of 5 stored pictures are there, and left out now"),
    ],
)
def test_so_much_is_pruned_at_once(tmp_path: Path, stored: int, gone: int, left_out: int, reason: str):
    (tmp_path / "other").mkdir()
    for number in range(gone, gone + left_out):
        (tmp_path / f"{number}.png").touch()
    points = {f"{n}": point(f"{n}.png", sha256=f"{n}") for n in range(stored)}
    points["other"] = with_places({"sha256": "other"}, [Place("other", "0.png")])
    source = Listed({"other": (tmp_path / "other", 1), "photos": (tmp_path, stored - gone - left_out)})
    answers = Gone(source, replace(METADATA, roots=source.roots), complete=True)

    def pruned(*, wanted: bool, force: bool = False) -> tuple[Settled, set[str], list[str]]:
        lines: list[str] = []

        def log(what: str, **fields: Any) -> None:
            lines.append(f"{what} {fields['source']} {fields['uri']}")

        collection, places = table(dict(points))
        with places:
            seen = (claim(places, f"{n}.png").number for n in range(gone + left_out, stored))
            places.sure([*seen, claim(places, "0.png", "other").number])
            settled = prune(collection, places, answers, source, log, wanted=wanted, force=force)
        return settled, set(collection.points), lines

    alone = Settled(gone=gone, unchosen=left_out)
    told = [f"{'gone' if n < gone else 'unchosen'} photos {n}.png" for n in range(gone + left_out)]
    assert pruned(wanted=False) == pruned(wanted=False, force=True) == (alone, set(points), told)
    rest = {name for name in points if name == "other" or int(name) >= gone + left_out}
    done = (Settled(pruned=gone + left_out), rest, [f"pruned photos {n}.png" for n in range(gone + left_out)])
    assert pruned(wanted=True, force=True) == done
    if reason:
        with pytest.warns(cbir.CbirWarning, match=rf"nothing of {tmp_path} was pruned: {reason}.*add --force"):
            assert pruned(wanted=True) == (alone, set(points), told)
    else:
        assert pruned(wanted=True) == done
