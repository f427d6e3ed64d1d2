"""A second ingest does no more than what has changed needs."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.place import Place, with_places
from cbir.collection.point import Payload
from cbir.ingest.claim import State
from cbir.ingest.job import run
from cbir.ingest.learn import Plan
from cbir.ingest.report import Report
from cbir.ingest.sources import folder as folder_module
from cbir.ingest.sources.arrays import ArraySource, Part
from cbir.ingest.sources.folder import FolderSource
from cbir.ingest.sources.source import STAMP, Item, Source
from cbir.ingest.sync import Status, compare
from cbir.model import picture as picture_module
from cbir.model.registry import parse_encoder
from tests.conftest import picture
from tests.ingest import kept

NAME = "pictures"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files whose pictures are decoded from now on."""
    names: list[str] = []
    decode = picture_module._picture

    def counted(form: str, content: bytes, name: str, *rest: Any, **options: Any) -> Any:
        names.append(name)
        return decode(form, content, name, *rest, **options)

    monkeypatch.setattr(picture_module, "_picture", counted)
    monkeypatch.setenv("CBIR_PROCESSES", "0")  # what worker processes decode is not seen here
    return names


@pytest.fixture
def stored(home: Path, pictures: Path) -> Path:
    """A folder that is ingested already."""
    cbir.ingest(pictures, encoder="pixels")
    return pictures


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.ingested, report.updated, report.unchanged, len(report.unreadable)


def payload(home: Path, uri: str) -> Payload:
    return point(home, uri)[1]


def point(home: Path, uri: str) -> tuple[str, Payload]:
    with closing(EmbeddedEngine(home / "collections").open(NAME)) as collection:
        points = [each for page in collection.scroll() for each in zip(page.ids, page.payloads, strict=True)]
    return next((identity, payload) for identity, payload in points if payload["uri"] == uri)


def features(home: Path) -> dict[str, np.ndarray]:
    with closing(EmbeddedEngine(home / "collections").open(NAME)) as collection:
        return {i: v for page in collection.scroll() for i, v in zip(page.ids, page.vectors, strict=True)}


def test_what_is_unchanged_is_not_even_read(stored: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch):
    def refused(path: Path) -> bytes:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(folder_module, "read_file", refused)
    assert counts(cbir.ingest(stored)) == (0, 0, 6, 0)
    assert decoded == []


def test_a_touched_file_is_described_anew_without_decoding(home: Path, stored: Path, decoded: list[str]):
    before = features(home)
    os.utime(stored / "b" / "1.png", ns=(7, 7))
    assert counts(cbir.ingest(stored)) == (0, 1, 5, 0)
    assert payload(home, "b/1.png")["modified"] == 7
    assert decoded == []
    assert counts(cbir.ingest(stored)) == (0, 0, 6, 0)
    assert all(np.array_equal(vector, before[point]) for point, vector in features(home).items())


def test_another_content_of_the_same_size_within_the_same_second_is_encoded(
    home: Path, stored: Path, decoded: list[str]
):
    file = stored / "b" / "flat.png"
    for nanosecond, seed in enumerate((50, 51)):
        picture(seed).save(file, compress_level=0)
        os.utime(file, ns=(9_000_000_000 + nanosecond, 9_000_000_000 + nanosecond))
        size, content = file.stat().st_size, file.read_bytes()
        assert counts(cbir.ingest(stored)) == (1, 0, 6, 0)
        assert payload(home, "b/flat.png")["bytes"] == size
    assert decoded == [str(file)] * 2
    with cbir.open() as searcher:
        best = searcher.search(file, 1)[0]
    assert (best.uri, best.distance) == ("b/flat.png", pytest.approx(0, abs=1e-3))
    assert file.read_bytes() == content


def test_what_other_tools_added_stays_and_what_is_ours_does_not(home: Path, stored: Path):
    changed, _ = point(home, "b/1.png")
    with closing(EmbeddedEngine(home / "collections").open(NAME)) as collection:
        added = {"caption": "a blob", "code": 7, "width": 28}
        collection.replace_payloads([changed], [{**collection.payloads([changed])[changed], **added}])
    assert counts(cbir.ingest(stored)) == (0, 0, 6, 0)
    os.utime(stored / "b" / "1.png", ns=(7, 7))
    assert counts(cbir.ingest(stored)) == (0, 1, 5, 0)
    assert added.items() <= payload(home, "b/1.png").items()  # the vector is the same, and so is its code
    picture(77).save(stored / "b" / "1.png")
    assert counts(cbir.ingest(stored)) == (1, 0, 5, 0)
    found = payload(home, "b/1.png")
    assert found["caption"] == "a blob"
    assert "code" not in found


def test_a_file_that_became_unreadable_is_skipped_and_its_point_stays(home: Path, stored: Path):
    before = payload(home, "b/1.png")
    (stored / "b" / "1.png").write_bytes(b"no picture")
    assert counts(cbir.ingest(stored)) == (0, 0, 5, 1)
    assert payload(home, "b/1.png") == before


class WithCamera(FolderSource):
    """A folder whose pictures have one field more."""

    def items(self) -> Iterator[Item]:
        return (replace(item, payload={**item.payload, "camera": "Pixel 8"}) for item in super().items())


def again(home: Path, source: Source, name: str = NAME) -> Report:
    plan = Plan(*parse_encoder("pixels"))
    return run(source, name, EmbeddedEngine(home / "collections"), home / "models", plan)


def test_a_new_field_changes_payloads_only(home: Path, stored: Path, decoded: list[str]):
    before = features(home)
    assert counts(again(home, WithCamera(stored))) == (0, 6, 0, 0)
    assert decoded == []
    found = payload(home, "b/1.png")
    assert (found["camera"], found["label"]) == ("Pixel 8", "b")
    assert len(found["sha256"]) == 64
    assert counts(again(home, WithCamera(stored))) == (0, 0, 6, 0)
    assert all(np.array_equal(vector, before[point]) for point, vector in features(home).items())


def test_another_label_changes_payloads_only(home: Path):
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
    labels = np.arange(300) % 7

    def toys(labels: np.ndarray) -> ArraySource:
        return ArraySource("toys", {"all": Part(images, labels), "none": Part(images[:0], labels[:0])})

    assert counts(again(home, toys(labels), "toys")) == (300, 0, 0, 0)
    labels = np.where(np.arange(300) == 299, 9, labels)
    assert counts(again(home, toys(labels), "toys")) == (0, 1, 299, 0)
    with closing(EmbeddedEngine(home / "collections").open("toys")) as collection:
        assert collection.count(where={"label": [9]}) == 1


def test_a_label_that_is_gone_is_removed(home: Path, stored: Path):
    class WithoutLabels(FolderSource):
        def items(self) -> Iterator[Item]:
            return (replace(item, label=None) for item in super().items())

    assert counts(again(home, WithoutLabels(stored))) == (0, 6, 0, 0)
    assert "label" not in payload(home, "b/1.png")


def listed(uri: str, stamp: tuple[int, int, int, int] = (7, 1, 2, 3), label: str | None = None, **more: Any) -> Item:
    described = more.pop("described", True)
    whole = {**dict(zip(STAMP, stamp, strict=True)), **more}
    return Item(uri, label, "photos", Image.Image, bytes, whole, f"/photos/{uri}", described)


@pytest.mark.parametrize("checksum", [False, True])
def test_what_has_to_be_done_about_an_item_is_told_by_its_stamp_and_what_is_said_of_it(checksum: bool):
    whole = {"sha256": "h", "format": "PNG"}
    new = (7, 1, 2, 4)
    cases: dict[str, tuple[Payload, Item, Status, State]] = {
        "same": (kept.point("same", **whole), listed("same"), Status.UNCHANGED, State.SURE),
        "touched": (kept.point("touched", **whole), listed("touched", new), Status.READ, State.UNSURE),
        "old": (
            kept.point("old", format="PNG"),
            listed("old"),
            Status.READ,
            State.UNSURE,
        ),
        "not detailed": (kept.point("not detailed", sha256="h"), listed("not detailed"), Status.READ, State.UNSURE),
        "label": (kept.point("label", label="a", **whole), listed("label", label="a"), Status.UNCHANGED, State.SURE),
        "other": (
            kept.point("other", label="a", **whole),
            listed("other", label="b"),
            Status.DESCRIBED,
            State.SURE,
        ),
        "labelled": (kept.point("labelled", **whole), listed("labelled", label="b"), Status.DESCRIBED, State.SURE),
        "gone": (kept.point("gone", label="a", **whole), listed("gone"), Status.DESCRIBED, State.SURE),
        "field": (kept.point("field", **whole), listed("field", n=1), Status.DESCRIBED, State.SURE),
        "fields": (kept.point("fields", **whole, n=1), listed("fields", n=1), Status.UNCHANGED, State.SURE),
        "silent": (
            kept.point("silent", label="a", **whole),
            listed("silent", described=False),
            Status.UNCHANGED,
            State.SURE,
        ),
        "no inode": (
            with_places(whole, [Place("photos", "no inode", (7, 1, None, None))]),
            listed("no inode", new),
            Status.UNCHANGED,
            State.SURE,
        ),
        "image": (
            {"source": "photos", "uri": "image", "label": "a"},
            replace(listed("image", label="a"), content=None, payload={}),
            Status.UNCHANGED,
            State.SURE,
        ),
        "images": (
            {"source": "photos", "uri": "images", "label": "a"},
            replace(listed("images", label="b"), content=None, payload={}),
            Status.DESCRIBED,
            State.SURE,
        ),
    }
    _, places = kept.table({name: payload for name, (payload, *_) in cases.items()})
    told: list[tuple[Any, ...]] = []
    items = [item for _, item, *_ in cases.values()]
    statuses = compare(
        [*items, listed("new"), listed("bad")], places, total=99, checksum=checksum,
        skip=lambda item: item.uri in {"bad", "same"}, progress=lambda *of: told.append(of),
    )  # fmt: skip
    assert told == [("compare", len(items) + 2, 99)]
    found = {item.uri: Status(status) for item, status in zip(items, statuses, strict=False)}
    states = {name: kept.claim(places, name).state for name in cases}
    if not checksum:
        assert found == {name: status for name, (*_, status, _) in cases.items()}
        assert states == {name: state for name, (*_, state) in cases.items()}
    else:  # but for images of datasets, which have no file
        read = dict.fromkeys(cases, Status.READ) | {"same": Status.SKIPPED}
        assert found == {**read, "image": Status.UNCHANGED, "images": Status.DESCRIBED}
        assert states == {name: State.SURE if name.startswith("image") else State.UNSURE for name in cases}
    assert [Status(status) for status in statuses[-2:]] == [Status.READ, Status.SKIPPED]


def test_of_two_points_that_claim_a_place_the_one_with_its_stamp_is_right():
    whole = {"sha256": "h", "format": "PNG"}
    points = {name: kept.point("1.png", "2.png", size=size, **whole) for name, size in (("a", 7), ("b", 8))}
    _, places = kept.table(points)
    first, second = listed("1.png", label="x"), listed("2.png", label="y", n=1)
    assert list(compare([first, second], places, total=2)) == [Status.DESCRIBED, Status.UNCHANGED]
    for uri in ("1.png", "2.png"):
        states = {each.id: each.state for each in places.at("photos", uri)}
        assert states == {"a": State.SURE, "b": State.DISPLACED}
    # The first place describes a point; of the others it is noted what is said of them.
    said = {(each.id, each.place.uri): places.described(each) for n in "12" for each in places.at("photos", f"{n}.png")}
    assert said.pop(("a", "2.png")) == {"label": "y", "n": 1}
    assert set(said.values()) == {None}
    # If both have it, or neither has, the file has to be read.
    _, places = kept.table({name: kept.point("1.png", **whole) for name in "ab"})
    assert list(compare([first], places, total=1)) == [Status.READ]
    assert {each.state for each in places.at("photos", "1.png")} == {State.UNSURE}
