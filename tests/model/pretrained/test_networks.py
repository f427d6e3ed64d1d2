"""A row of the table is an encoder: fetched, ingested with, searched with pictures and with words."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from PIL import Image

import cbir
from cbir.model import registry
from cbir.model.bundle import read_bundle
from cbir.model.errors import ModelError
from cbir.model.pretrained import networks, towers
from cbir.model.pretrained.hosted import Network
from cbir.model.pretrained.hub import networks_cache
from cbir.model.pretrained.onnx_options import KEYS
from cbir.model.pretrained.towers import TextTower, Words
from tests.commands import failure, run
from tests.model.pretrained.graphs import mean_colour, network, two_towers, value
from tests.model.pretrained.hub import Hub
from tests.model.pretrained.test_hub import hub

__all__ = ["hub"]

WORDS = ["<pad>", "<start>", "<end>", "?", "red", "green", "blue"]
CONTEXT = 6
OPTIONS = {"size": (16, 16), "mean": (0.0,), "deviation": (1.0,), "output": "image_embeds"}


def tokenizer() -> bytes:
    """One that puts a text between <start> and <end>, as CLIP's does."""
    pytest.importorskip("tokenizers", reason="words need the extra 'words', which is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    return made.to_str().encode()


def text_tower(masked: bool = True) -> ModelProto:
    """Texts to how often they say red, green and blue."""
    table = np.zeros((len(WORDS), 3), np.float32)
    table[4:] = np.eye(3)
    table[0] = 0 if masked else 9  # counts padding, where nothing is masked
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"], axis=0)]
    given = [value("input_ids", ["n", CONTEXT], 7)]
    if masked:
        given.append(value("attention_mask", ["n", CONTEXT], 7))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=1),
            helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
            helper.make_node("Mul", ["rows", "column"], ["counted"]),
        ]
    nodes.append(
        helper.make_node("ReduceSum", ["counted" if masked else "rows", "second"], ["text_embeds"], keepdims=0)
    )
    weights = {"table": table, "last": np.array([-1]), "second": np.array([1])}
    return network(nodes, given, [value("text_embeds", ["n", 3])], weights)


@pytest.fixture
def offered(hub: Hub, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Hub]:
    """A hub with two networks, and their rows: `plain` and `towers`, whose one graph has both towers."""
    plain = mean_colour(("n", 3, 16, 16))
    plain.graph.output[0].name = plain.graph.node[-1].output[0] = "image_embeds"
    rows = [
        Network(
            "plain", "Mean colour.", hub.add("us/plain", "model.onnx", plain.SerializeToString()), "MIT", 3, OPTIONS
        )
    ]
    both = hub.add("us/towers", "onnx/model.onnx", two_towers(len(WORDS)).SerializeToString())
    words = None
    if hub_has_words():
        tokens = hub.add("us/towers", "tokenizer.json", tokenizer())
        words = Words(both, tokens, CONTEXT, 0, lower=True, output="text_embeds", shared=True)
    rows.append(Network("towers", "Mean colour and words.", both, "Apache-2.0", 3, OPTIONS, words))
    monkeypatch.setattr(networks, "NETWORKS", tuple(rows))
    return hub


def hub_has_words() -> bool:
    import importlib.util

    return importlib.util.find_spec("tokenizers") is not None


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    for name in ("red", "green", "blue", "white"):
        Image.new("RGB", (50, 30), name).save(folder / f"{name}.png")
    return folder


def test_a_row_is_an_encoder_from_the_listing_to_the_search(offered: Hub, colours: Path):
    listed = {row["name"]: row for row in json.loads(run("encoders", "--json").stdout)}
    assert listed["plain"]["licence"] == "MIT"
    assert listed["plain"]["download_bytes"] == networks.NETWORKS[0].graph.size
    assert "Mean colour and words." in run("encoders").stdout
    assert "Apache-2.0" in run("encoders", "towers").stdout
    assert "encoder     towers" in run("ingest", colours, "--encoder", "towers").stdout
    found = json.loads(run("search", colours / "red.png", "--json").stdout)
    assert found["queries"][0]["hits"][0]["distance"] == 0
    asked = len(offered.asked)
    Image.new("RGB", (5, 5), "black").save(colours / "black.png")
    assert json.loads(run("ingest", colours, "--json").stdout)["ingested"] == 1
    run("ingest", colours, "--encoder", "towers", "--collection", "again")
    assert len(offered.asked) == asked == 1
    with cbir.open("again") as searcher:
        said = searcher.bundle.metadata
    assert said["network"]["licence"] == "Apache-2.0"
    assert said["network"]["repository"] == "us/towers"


def test_without_a_network_ingest_says_what_to_do_in_one_line(
    offered: Hub, colours: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = failure("ingest", colours, "--encoder", "plain")
    assert "encoder 'plain' needs a file" in said
    assert f"{offered.url}/us/plain/resolve/" in said


def test_another_size_than_the_network_s_is_refused(offered: Hub, colours: Path):
    assert "sees pictures at 16x16" in failure("ingest", colours, "--encoder", "plain", "--size", 64)
    run("ingest", colours, "--encoder", "plain", "--size", 16)


def test_a_row_that_is_not_what_it_says_is_refused(offered: Hub, colours: Path, monkeypatch: pytest.MonkeyPatch):
    wrong = Network("plain", "Mean colour.", networks.NETWORKS[0].graph, "MIT", 4, OPTIONS)
    monkeypatch.setattr(networks, "NETWORKS", (wrong,))
    with pytest.raises(ModelError, match="makes 3 values"):
        cbir.ingest(colours, encoder="plain")


def test_a_comparison_of_all_encoders_downloads_nothing(offered: Hub):
    from cbir.evaluate.compare.entrants import entrants
    from cbir.ingest.sources.digits import digits

    assert not {"plain", "towers", "onnx-file"} & {each.kind.name for each in entrants(digits(), [], {})}
    assert [each.kind.name for each in entrants(digits(), ["plain"], {})] == ["plain"]


def test_words_are_encoded_where_a_bundle_was_moved(offered: Hub, colours: Path, tmp_path: Path):
    pytest.importorskip("tokenizers", reason="words need the extra 'words', which is not installed")
    bundle = cbir.ingest(colours, encoder="towers").model
    moved = read_bundle(shutil.copytree(bundle.path, tmp_path / "elsewhere"))
    asked = len(offered.asked)
    tower = moved.text_encoder()
    assert tower is not None
    assert len(offered.asked) == asked
    assert tower.encode([]).shape == (0, 3)
    features = tower.encode(["red", "RED  Red", "green blue"])
    table = np.random.default_rng(0).normal(size=(len(WORDS), 3))
    ends = table[1] + table[2]
    expected = np.stack([ends + table[4], ends + 2 * table[4], ends + table[5] + table[6]])
    np.testing.assert_allclose(features, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    assert features.dtype == np.float32
    with pytest.warns(cbir.CbirWarning, match="reads 6 tokens of a text: the end of 'red red red red red red' is left"):
        cut_off = tower.encode(["red red red red", "red red red red red red"])
    np.testing.assert_allclose(cut_off[0], cut_off[1], atol=1e-6)
    assert len(offered.asked) == asked + 1  # the tokenizer; the graph is here
    plain = cbir.ingest(colours, collection="plain", encoder="plain").model
    assert plain.text_encoder() is None


def test_a_collection_is_searched_by_words_which_are_fetched_then(offered: Hub, colours: Path):
    pytest.importorskip("tokenizers", reason="words need the extra 'words', which is not installed")
    run("ingest", colours, "--encoder", "towers")
    asked = len(offered.asked)
    done = run("search", "green", "--json")
    assert len(json.loads(done.stdout)["queries"][0]["hits"]) == 4
    assert len(offered.asked) == asked + 1  # the tokenizer; the graph is here
    run("search", "green", "--json")
    assert len(offered.asked) == asked + 1


@pytest.mark.parametrize("masked", [True, False])
def test_a_text_tower_of_its_own_is_fetched_for_words_alone(hub: Hub, masked: bool):
    graph = hub.add("us/text", "model.onnx", text_tower(masked).SerializeToString())
    words = Words(graph, hub.add("us/text", "tokenizer.json", tokenizer()), CONTEXT, 0)
    tower = TextTower(words, 3, "encoder 'ours'")
    assert tower.dimension == 3
    features = tower.encode(["red", "green green"] * 50)
    assert features.shape == (100, 3)
    filled = 0 if masked else 9
    expected = np.array([[1 + 3 * filled, 3 * filled, 3 * filled], [2 * filled, 2 + 2 * filled, 2 * filled]])
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(features[:2], expected, atol=1e-5)
    assert len(hub.asked) == 2


def test_a_text_tower_is_checked_as_a_graph_from_elsewhere(hub: Hub):
    graph = text_tower()
    table = graph.graph.initializer[0]
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="../../../secret")
    words = Words(
        hub.add("us/text", "model.onnx", graph.SerializeToString()),
        hub.add("us/text", "tokenizer.json", tokenizer()),
        CONTEXT,
        0,
    )
    for _ in range(2):
        with pytest.raises(ModelError, match="outside its own folder"):
            TextTower(words, 3, "it").encode(["red"])


def test_a_text_tower_that_was_cut_out_is_used_while_it_is_the_same(
    offered: Hub, colours: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("tokenizers", reason="words need the extra 'words', which is not installed")
    bundle = cbir.ingest(colours, encoder="towers").model

    def encoded() -> np.ndarray:
        tower = bundle.text_encoder()
        assert tower is not None
        return tower.encode(["red"])

    expected, words = encoded(), networks.NETWORKS[1].words
    assert words is not None
    (cut,) = (networks_cache() / "towers").glob("*.onnx")
    content = cut.read_bytes()
    words.graph.place.unlink()  # the large one, which is in the bundle: nothing else needs it
    asked = len(offered.asked)
    assert np.array_equal(encoded(), expected)
    assert len(offered.asked) == asked
    cut.write_bytes(text_tower().SerializeToString())
    assert np.array_equal(encoded(), expected)
    assert cut.read_bytes() == content
    monkeypatch.setattr(towers, "_WAY", 2)
    encoded()
    assert len(list((networks_cache() / "towers").glob("*.onnx"))) == 2


def test_what_is_wrong_with_a_text_tower_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    graph = hub.add("us/text", "model.onnx", text_tower().SerializeToString())
    words = Words(graph, hub.add("us/text", "tokenizer.json", tokenizer()), CONTEXT, 0)
    with pytest.raises(ModelError, match="makes 3 values, not 4"):
        TextTower(words, 4, "encoder 'ours'").encode(["red"])
    with pytest.raises(ModelError, match=r"tokenizer\.json is no tokenizer"):
        TextTower(Words(graph, hub.add("us/more", "tokenizer.json", b"{}"), CONTEXT, 0), 3, "it").encode(["red"])
    pictures = hub.add("us/more", "model.onnx", mean_colour().SerializeToString())
    with pytest.raises(ModelError, match="takes 'pixels', and so is no text tower"):
        TextTower(Words(pictures, words.tokenizer, CONTEXT, 0), 3, "it").encode(["red"])
    with pytest.raises(ModelError, match="has no text tower: it has no output 'text_embeds'"):
        TextTower(Words(pictures, words.tokenizer, CONTEXT, 0, output="text_embeds", shared=True), 3, "it").encode(
            ["a"]
        )
    with pytest.raises(ModelError, match=r"model\.json says about the text tower cannot be read"):
        Words.from_json({"graph": {}})
    described = json.loads(json.dumps(asdict(words)))
    assert Words.from_json(described) == words
    for change in ({"pooling": "last"}, {"graph": {**described["graph"], "mirror": "there"}}):
        with pytest.raises(ModelError, match="is unknown to this cbir: upgrade cbir"):
            Words.from_json({**described, **change})
    for change in ({"context": 10**9}, {"context": 0}, {"context": "6"}, {"padding": -1}):
        with pytest.raises(ModelError, match="no text tower reads"):
            Words.from_json({**described, **change})
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    asked = len(hub.asked)
    with pytest.raises(ModelError, match=r"pip install '.\[words\]'"):
        TextTower(words, 3, "encoder 'ours'").encode(["red"])
    assert len(hub.asked) == asked


@pytest.mark.parametrize("row", networks.NETWORKS, ids=lambda row: row.name)
def test_every_row_is_complete(row: Network):
    kind = registry.kind_of(row.name)
    assert row.options.keys() <= KEYS.keys()
    assert kind.preprocessing(None).layout == "NCHW"
    page = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| `{row.name}` |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    more = f"{_more(row) / 1e6:.0f} MB more" if _more(row) < 1e9 else f"{_more(row) / 1e9:.1f} GB more"
    assert row.graph.repository in cells[2]
    assert cells[3:] == [row.licence, str(row.values), f"{row.graph.size / 1e6:.0f} MB", more if row.words else ""]
    assert (kind.words, kind.licence, f"{kind.download / 1e6:.0f} MB") == (bool(cells[6]), cells[3], cells[5])


def _more(row: Network) -> int:
    """Bytes that are downloaded for words."""
    return 0 if row.words is None else row.words.tokenizer.size + (0 if row.words.shared else row.words.graph.size)


def test_dinov2_cuts_out_the_middle_and_siglip2_squashes():
    described: dict[str, Any] = {row.name: registry.kind_of(row.name).preprocessing(None) for row in networks.NETWORKS}
    assert (described["dinov2"].shortest, described["dinov2"].shape) == (256, (224, 224, 3))
    assert (described["clip"].shortest, described["clip"].fit) == (224, "crop")
    assert described["siglip2"].fit == "squash"
