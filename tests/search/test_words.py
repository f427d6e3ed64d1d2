"""Searches by words: in Python, from the command line, and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

import cbir
from cbir import Combination, Words
from cbir.model.bundle import Bundle
from cbir.model.kind import Kind
from cbir.model.registry import encoders
from cbir.search.shown import shown
from tests.commands import failure, run, run_process
from tests.search.colour_words import ColourWords


def striped(*colours: str) -> Image.Image:
    """Stripes of colours, with noise."""
    columns = np.repeat([ImageColor.getrgb(colour) for colour in colours], 24 // len(colours), axis=0)
    noise = np.random.default_rng(len(colours)).integers(0, 9, (24, 24, 3))
    return Image.fromarray(np.abs(columns[None] - noise).astype(np.uint8))


@pytest.fixture
def wordless(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture; its folder `pictures` is a collection of colours, without words."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for colours in (["red"], ["lime"], ["blue"], ["red", "lime"], ["red", "blue"]):
        striped(*colours).save(folder / f"{' '.join(colours)}.png")
    striped("red").save(tmp_path / "query.png")
    cbir.ingest(folder, encoder="color-histogram")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def colours(wordless: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same collection, with words."""
    monkeypatch.setattr(Bundle, "text_encoder", lambda bundle, progress=None: ColourWords(bundle))
    return wordless


def first(*queries: str, count: int = 1) -> list[list[str]]:
    """The first hits' names of what is typed."""
    document = json.loads(run("search", *queries, "-k", count, "--json").stdout)
    return [[Path(hit["path"]).stem for hit in query["hits"]] for query in document["queries"]]


def test_words_find_pictures(colours: Path):
    assert first("something blue", "lime") == [["blue"], ["lime"]]
    with cbir.open() as searcher:
        hits = searcher.search("something blue", 2, text=True)
        assert [hit.uri for hit in hits] == ["blue.png", "red blue.png"]
        assert hits == searcher.search(Words("something blue"), 2)
        assert hits == searcher.search_many(["query.png", Words("something blue")], 2)[1]


def test_words_and_pictures_are_added_and_subtracted(colours: Path):
    for typed in (["query.png", "+", "lime"], ["red", "+", "lime"], ["red", "+", "blue", "+", "2:lime", "-", "blue"]):
        assert first(*typed) == [["red lime"]]
    assert first("query.png", "+", "5:lime", count=2) == [["lime", "red lime"]]
    with cbir.open() as searcher:
        for like, unlike, text in (
            (["query.png", Words("lime")], [], False),
            ([Path("query.png"), "lime", "blue"], [Words("blue")], True),
        ):
            assert searcher.search(like=like, unlike=unlike, text=text)[0].uri == "red lime.png"


def test_a_folder_is_no_picture_and_text_is_said_outright(colours: Path):
    (colours / "red").mkdir()
    striped("blue").save(colours / "lime", format="PNG")
    assert first("red", "lime") == [["red"], ["blue"]]
    assert first("red", "lime", "--text") == [["red"], ["lime"]]
    assert failure("search", "bleu.png").endswith("bleu.png does not exist; if it is meant as words, add --text")
    assert first("blue.png blue", "--text") == [["blue"]]


def test_documents_of_words_and_sums(colours: Path):
    printed = run("search", "red", "query.png", "2:query.png", "-", "0.5:lime", "--json").stdout
    queries = [{**query, "hits": len(query["hits"])} for query in json.loads(printed)["queries"]]
    assert queries == [
        {"text": "red", "hits": 5},
        {"image": "query.png", "hits": 5},
        {"terms": [{"weight": 2.0, "image": "query.png"}, {"weight": -0.5, "text": "lime"}], "hits": 5},
    ]


def test_what_is_printed_says_what_was_asked(colours: Path):
    printed = run("search", "red", "query.png", "-", "very lime", "--save", "strip.png").stdout
    assert '"red" in pictures' in printed
    assert "query.png - 'very lime' in pictures" in printed
    assert (colours / "strip.png").stat().st_size > 1000


def test_inverting_is_for_pictures(colours: Path):
    assert "invert is for pictures" in failure("search", "red", "--invert")
    assert "invert is for pictures" in failure("search", "query.png", "+", "red", "--invert")


def test_a_tower_of_another_dimension_is_refused(colours: Path, monkeypatch: pytest.MonkeyPatch):
    encode = ColourWords.encode
    monkeypatch.setattr(ColourWords, "encode", lambda tower, texts: encode(tower, texts)[:, :9])
    assert "cannot be compared" in failure("search", "red")


def test_without_a_tower_it_is_said_what_to_type(wordless: Path, monkeypatch: pytest.MonkeyPatch):
    assert "'a red car' is not a file, and collection 'pictures' cannot be" in failure("search", "a red car")
    assert failure("search", "red.png").endswith("red.png does not exist")
    assert "is a folder" in failure("search", "pictures")
    able = [Kind("clip", "Words.", __name__, words=True), Kind("other", "None.", __name__), *encoders()]
    monkeypatch.setattr("cbir.model.registry.encoders", lambda: able)
    command = f"cbir ingest {wordless / 'pictures'} --encoder clip --collection pictures-clip"
    for asked in (["a red car"], ["query.png", "+", "red"], ["--text", "query.png"]):
        said = failure("search", *asked)
        assert "its encoder, color-histogram, does not understand them (those that do: clip" in said
        assert said.endswith(f"type: {command}")
    with cbir.open() as searcher, pytest.raises(cbir.QueryError, match="cannot be searched by words"):
        searcher.search("red", text=True)


def test_operators_as_a_shell_passes_them(wordless: Path):
    striped("blue").save(wordless / "2:blue.png")
    done = run_process("search", "query.png", "-", "pictures/red blue.png", "+", "2:2:blue.png", "-k", "1", "--json")
    (query,) = json.loads(done.stdout)["queries"]
    assert [term["weight"] for term in query["terms"]] == [1, -1, 2]
    assert query["hits"][0]["uri"] == "blue.png"
    assert "No such option: -2" in run_process("search", "query.png", "-2:blue.png", code=2).stderr
    assert "stands between" in run_process("search", "-", code=1).stderr
    assert "stands alone between" in run_process("search", "query.png", "--", "-2:blue.png", code=1).stderr


@pytest.fixture(scope="module")
def opener() -> dict[str, Image.Image]:
    """Pictures of one colour by name."""
    return {name: Image.new("RGB", (60, 30), name) for name in ("red", "lime", "blue")}


def colours_down(picture: Image.Image) -> list[str]:
    """The names of the pure colours of a picture, from its top."""
    names = {(255, 0, 0): "red", (0, 255, 0): "lime", (0, 0, 255): "blue"}
    rows = np.asarray(picture).reshape(picture.height, picture.width, 3)
    found = [names[colour] for row in rows for colour in sorted({*map(tuple, row.tolist())}) if colour in names]
    return list(dict.fromkeys(found))


def test_queries_are_drawn(opener: dict[str, Image.Image]):
    size = (120, 120)
    assert shown("red", opener.__getitem__) == ("red", opener["red"])
    drawn = {text: shown(Words(text), opener.__getitem__) for text in ("a cat", "a cat " * 40, "a" * 300, "ä")}
    assert {(caption, picture.size) for caption, picture in drawn.values()} == {("", size)}
    assert len({picture.tobytes() for _, picture in drawn.values()}) == 4
    for caption, picture in drawn.values():
        assert caption == ""
        inked = np.asarray(picture.convert("L")) < 128
        assert inked.any()
        assert not inked[[0, 1, 2, -3, -2, -1]].any()
        assert not inked[:, [0, 1, 2, -3, -2, -1]].any()
    three = Combination([(1, "red"), (-1, Words("a cat")), (2, "lime"), (-2, "blue")])
    caption, picture = shown(three, opener.__getitem__)
    assert (caption, picture.size) == ("", size)
    assert colours_down(picture) == ["red", "lime", "blue"]
    plus = shown(Combination([(1, "red"), (1, Words("a cat")), (2, "lime"), (-2, "blue")]), opener.__getitem__)[1]
    assert plus.tobytes() != picture.tobytes()
    five = [(1, "red"), (1, "lime"), (1, "red"), (1, "red"), (1, "blue")]
    assert colours_down(shown(Combination(five), opener.__getitem__)[1]) == ["red", "lime", "blue"]
    assert colours_down(shown(Combination([*five, (1, "red")]), opener.__getitem__)[1]) == ["red", "lime"]
