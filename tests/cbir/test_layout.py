"""A collection that is filled anew keeps its layout, unless another is given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.home import keep_layout
from cbir.collection.layout import Layout, quantization_of
from cbir.collection.served.engine import ServedEngine
from cbir.core.errors import CbirWarning
from tests.collection.sample import METADATA
from tests.qdrant import GIVEN_KEY


def filled(pictures: Path, **given: Any) -> None:
    cbir.ingest(pictures, collection="c", encoder="pixels", size=16, **given)


def kept(stored: Callable[[], tuple[Any, Any]], pictures: Path, **where: Any) -> None:
    """Fill a collection anew, and compare what is stored of its layout: the quantization, and the vectors' place."""
    before = stored()
    assert None not in before
    filled(pictures, retrain=True, **where)
    assert stored() == before, "kept"
    filled(pictures, retrain=True, quantization="binary", **where)
    assert (quantization_of(stored()[0]), stored()[1]) == ("binary", before[1]), "what is not given is kept"
    with pytest.warns(CbirWarning, match="--quantization, --no-on-disk not used: collection 'c' exists"):
        filled(pictures, quantization="none", on_disk=False, **where)
    filled(pictures, retrain=True, quantization="none", on_disk=False, **where)
    assert stored() == (None, None)
    filled(pictures, retrain=True, **where)
    assert stored() == (None, None)


def test_an_embedded_collection_that_is_filled_anew_keeps_its_layout(pictures: Path, home: Path):
    def stored() -> tuple[Any, Any]:
        (shard,) = (home / "collections" / "c").glob("shard-*")
        vectors = json.loads((shard / "edge_config.json").read_text())["vectors"][""]
        return vectors.get("quantization_config"), vectors.get("memory")

    filled(pictures, quantization="int8", on_disk=True)
    kept(stored, pictures)


@pytest.mark.usefixtures("home")
def test_a_servers_collection_that_is_filled_anew_keeps_its_layout(
    pictures: Path, served: ServedEngine, monkeypatch: pytest.MonkeyPatch
):
    if GIVEN_KEY:
        monkeypatch.setenv("QDRANT_API_KEY", GIVEN_KEY)

    def stored() -> tuple[Any, Any]:
        config = served.server.client.get_collection("c").config.model_dump(mode="json", exclude_none=True)
        assert config["params"]["shard_number"] == 2
        return config.get("quantization_config"), config["params"]["vectors"].get("on_disk") or None

    filled(pictures, quantization="int8", on_disk=True, shards=2, qdrant_url=served.location)
    kept(stored, pictures, qdrant_url=served.location)


def test_of_a_damaged_collection_no_layout_is_known(tmp_path: Path):
    engine = EmbeddedEngine(tmp_path, layout=Layout("int8"))
    engine.create("c", METADATA).close()
    again = EmbeddedEngine(tmp_path)
    keep_layout(again, "new")
    assert again.layout == Layout()
    for damaged in (next(tmp_path.glob("c/shard-*/edge_config.json")), tmp_path / "c" / "collection.json"):
        keep_layout(again, "c")
        assert again.layout.quantization == "int8"
        again.layout = Layout()
        content = damaged.read_bytes()
        damaged.write_text("{}")
        keep_layout(again, "c")
        assert again.layout == Layout()
        damaged.write_bytes(content)


def test_a_quantization_that_cbir_does_not_offer_is_none_to_keep():
    assert [quantization_of(each) for each in (None, {}, {"product": {"compression": "x4"}})] == [None, None, None]
