"""Searches by words: in Python, from the command line, and drawn; with a network of two towers from a hub."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir import Combination, Words
from cbir.core.errors import CbirWarning
from cbir.model.pretrained import networks, towers
from cbir.model.pretrained.hosted import Network
from cbir.search.shown import shown
from tests.commands import failure, run, run_process
from tests.model.pretrained.graphs import mean_colour
from tests.model.pretrained.hub import Hub
from tests.model.pretrained.test_hub import hub
from tests.model.pretrained.test_networks import CONTEXT, text_tower, tokenizer
from tests.serve.test_beside import serving

__all__ = ["hub"]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def striped(*names: str) -> Image.Image:
    """Stripes of colours, with noise."""
    columns = np.repeat([COLOURS[name] for name in names], 24 // len(names), axis=0)
    noise = np.random.default_rng(len(names)).integers(0, 9, (24, 24, 3))
    return Image.fromarray(np.abs(columns[None] - noise).astype(np.uint8))


@pytest.fixture
def wordless(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture; its folder `pictures` is a collection of colours, without words."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for names in (["red"], ["green"], ["blue"], ["red", "green"], ["red", "blue"]):
        striped(*names).save(folder / f"{' '.join(names)}.png")
    striped("red").save(tmp_path / "query.png")
    cbir.ingest(folder, encoder="color-histogram")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def offered(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub whose network `colours` gives pictures and words their mean colour."""
    pictures = hub.add("us/colours", "vision.onnx", mean_colour(("n", 3, 24, 24)).SerializeToString())
    graph = hub.add("us/colours", "text.onnx", text_tower().SerializeToString())
    words = towers.Words(graph, hub.add("us/colours", "tokenizer.json", tokenizer()), CONTEXT, 0)
    options = {"size": (24, 24), "mean": (0.0,), "deviation": (1.0,)}
    row = Network("colours", "Mean colours.", pictures, "MIT", 3, options, words)
    monkeypatch.setattr(networks, "NETWORKS", (row,))
    return hub


@pytest.fixture
def colours(wordless: Path, offered: Hub) -> Path:
    """The same pictures, in a collection that can be searched by words."""
    cbir.ingest(wordless / "pictures", collection="colours", encoder="colours")
    return wordless


def first(*queries: str, count: int = 1) -> list[list[str]]:
    """The first hits' names of what is typed."""
    document = json.loads(run("search", *queries, "-k", count, "--json").stdout)
    return [[Path(hit["path"]).stem for hit in query["hits"]] for query in document["queries"]]


def test_words_find_pictures(colours: Path):
    assert first("something blue", "green") == [["blue"], ["green"]]
    with cbir.open() as searcher:
        hits = searcher.search("something blue", 2, text=True)
        assert [hit.uri for hit in hits] == ["blue.png", "red blue.png"]
        assert hits == searcher.search(Words("something blue"), 2)
        assert hits == searcher.search_many(["query.png", Words("something blue")], 2)[1]


def test_words_and_pictures_are_added_and_subtracted(colours: Path):
    for typed in (
        ["query.png", "+", "green"],
        ["red", "+", "green"],
        ["red", "+", "blue", "+", "2:green", "-", "blue"],
    ):
        assert first(*typed) == [["red green"]]
    assert first("query.png", "+", "5:green", count=2) == [["green", "red green"]]
    with cbir.open() as searcher:
        for like, unlike, text in (
            (["query.png", Words("green")], [], False),
            ([Path("query.png"), "green", "blue"], [Words("blue")], True),
        ):
            assert searcher.search(like=like, unlike=unlike, text=text)[0].uri == "red green.png"


def test_a_folder_is_no_picture_and_text_is_said_outright(colours: Path):
    (colours / "red").mkdir()
    striped("blue").save(colours / "green", format="PNG")
    assert first("red", "green") == [["red"], ["blue"]]
    assert first("red", "green", "--text") == [["red"], ["green"]]
    assert failure("search", "bleu.png").endswith("bleu.png does not exist; if it is meant as words, add --text")
    assert first("blue.png blue", "--text") == [["blue"]]


def test_documents_of_words_and_sums(colours: Path):
    printed = run("search", "red", "query.png", "2:query.png", "-", "0.5:green", "--json").stdout
    queries = [{**query, "hits": len(query["hits"])} for query in json.loads(printed)["queries"]]
    assert queries == [
        {"text": "red", "hits": 5},
        {"image": "query.png", "hits": 5},
        {"terms": [{"weight": 2.0, "image": "query.png"}, {"weight": -0.5, "text": "green"}], "hits": 5},
    ]


def test_what_is_printed_says_what_was_asked(colours: Path):
    printed = run("search", "red", "query.png", "-", "very green", "--save", "strip.png").stdout
    assert '"red" in colours' in printed
    assert "query.png - 'very green' in colours" in printed
    assert (colours / "strip.png").stat().st_size > 1000


def test_inverting_is_for_pictures(colours: Path):
    assert "invert is for pictures" in failure("search", "red", "--invert")
    assert "invert is for pictures" in failure("search", "query.png", "+", "red", "--invert")


def test_what_encodes_words_is_fetched_for_words_alone(colours: Path, offered: Hub):
    assert first("query.png", "pictures/blue.png") == [["red"], ["blue"]]
    assert len(offered.asked) == 1
    assert first("blue", "red") == [["blue"], ["red"]]
    assert "warning: encoder 'colours' reads 6 tokens" in run("search", "blue blue blue blue blue").stderr
    assert len(offered.asked) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")
def test_beside_a_server_words_are_encoded_there(colours: Path, home: Path):
    with serving(home), cbir.open() as searcher:
        assert [hit.uri for hit in searcher.search("something blue", 2, text=True)] == ["blue.png", "red blue.png"]
        with pytest.warns(CbirWarning, match="reads 6 tokens"):
            assert searcher.search("blue blue blue blue blue", text=True)
        assert searcher._text_encoder is None


def test_a_text_tower_of_a_newer_cbir_is_no_hindrance_to_pictures(colours: Path):
    with cbir.open() as searcher:
        path = searcher.bundle.path / "model.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["words"]["pooling"] = "last"
    path.write_text(json.dumps(described), encoding="utf-8")
    assert first("query.png") == [["red"]]
    assert "about the text tower, pooling, is unknown to this cbir: upgrade cbir" in failure("search", "red")


def test_without_a_tower_it_is_said_what_to_type(wordless: Path, offered: Hub):
    assert "'a red car' is not a file, and collection 'pictures' cannot be" in failure("search", "a red car")
    assert failure("search", "red.png").endswith("red.png does not exist")
    assert "is a folder" in failure("search", "pictures")
    command = f"cbir ingest {wordless / 'pictures'} --encoder colours --collection pictures-colours"
    for asked in (["a red car"], ["query.png", "+", "red"], ["--text", "query.png"]):
        said = failure("search", *asked)
        assert "its encoder, color-histogram, does not understand them (those that do: colours)" in said
        assert said.endswith(f"type (which downloads 0 MB): {command}")
    with cbir.open() as searcher, pytest.raises(cbir.QueryError, match="cannot be searched by words"):
        searcher.search("red", text=True)


def test_operators_as_a_shell_passes_them(wordless: Path):
    striped("blue").save(wordless / "2:blue.png")
    done = run_process("search", "query.png", "-", "pictures/red blue.png", "+", "2:2:blue.png", "-k", "1", "--json")
    (query,) = json.loads(done.stdout)["queries"]
    assert [term["weight"] for term in query["terms"]] == [1, -1, 2]
    assert query["hits"][0]["uri"] == "blue.png"
    assert "No such option: -2" in run_process("search", "query.png", "-2:blue.png", code=2).stderr
    assert "stands between" in run_process("search", "+", code=1).stderr
    assert "stands alone between" in run_process("search", "query.png", "--", "-2:blue.png", code=1).stderr


@pytest.fixture(scope="module")
def opener() -> dict[str, Image.Image]:
    """Pictures of one colour by name."""
    return {name: Image.new("RGB", (60, 30), colour) for name, colour in COLOURS.items()}


def colours_down(picture: Image.Image) -> list[str]:
    """The names of the pure colours of a picture, from its top."""
    names = {colour: name for name, colour in COLOURS.items()}
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
    long = [shown(Words(f"a very long text about {animal}s"), opener.__getitem__)[1] for animal in ("cat", "dog")]
    assert long[0].tobytes() != long[1].tobytes()  # small enough to be read to its end
    signs = (
        np.asarray(shown(Combination([(1, "red"), (-1, "blue")]), opener.__getitem__)[1].convert("L"))[:, 2:13] < 128
    )
    assert [signs[:60].any(), signs[60:].any()] == [False, True]
    three = Combination([(1, "red"), (-1, Words("a cat")), (2, "green"), (-2, "blue")])
    caption, picture = shown(three, opener.__getitem__)
    assert (caption, picture.size) == ("", size)
    assert colours_down(picture) == ["red", "green", "blue"]
    plus = shown(Combination([(1, "red"), (1, Words("a cat")), (2, "green"), (-2, "blue")]), opener.__getitem__)[1]
    assert plus.tobytes() != picture.tobytes()
    five = [(1, "red"), (1, "green"), (1, "red"), (1, "red"), (1, "blue")]
    assert colours_down(shown(Combination(five), opener.__getitem__)[1]) == ["red", "green", "blue"]
    assert colours_down(shown(Combination([*five, (1, "red")]), opener.__getitem__)[1]) == ["red", "green"]
