"""Fields of any type: other tools write payloads too, and an archive may come from anywhere. No command minds them."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cbir
from cbir.collection import home as homes
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.core.settings import read_settings
from tests.commands import run

WRONG: tuple[Any, ...] = (5, None, True, 1.5, [], [1, 2], {"a": 1}, "x", "", 2**62, -1)
FIELDS = (
    *("uri", "source", "label", "sha256", "copies", "folder", "name", "bytes", "modified", "inode", "changed"),
    *("width", "height", "format", "taken_at", "gps", "camera", "code", "index", "border_brightness", "warning"),
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a collection in which each field has each wrong type once, among points as they should be."""
    place = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(place))
        cbir.ingest("digits", encoder="pixels")
        with closing(homes.embedded_engine(read_settings()).open("digits")) as opened:
            assert isinstance(opened, EmbeddedCollection)
            (page, *_) = opened.scroll()
            wrong = [{field: value} for field in FIELDS for value in WRONG] + [
                {"copies": [{"uri": 5, "source": []}, 3]}
            ]
            assert len(wrong) < len(page.ids)
            payloads = [{**payload, **odd} for payload, odd in zip(page.payloads, wrong, strict=False)]
            opened.upsert(page.ids[: len(wrong)], page.vectors[: len(wrong)], payloads)
        yield place


@pytest.mark.parametrize(
    "command",
    [
        ["info"],
        ["info", "digits", "--check"],
        ["search", "digits:queries/0", "-k", "1500"],
        ["search", "digits:queries/0", "-k", "1500", "--paths"],
        ["search", "digits:queries/0", "-k", "1500", "--sort", "taken_at"],
        ["search", "digits:queries/0", "-k", "1500", "--sort", "width"],
        ["search", "digits:queries/0", "--where", "label=3", "--expand", "5"],
        ["evaluate", "--queries", "5"],
        ["snapshot", "--save", "odd.zip"],
        ["prune", "--yes"],
        ["ingest", "digits"],
    ],
    ids=" ".join,
)
def test_no_command_minds(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]):
    monkeypatch.setenv("CBIR_HOME", str(odd))
    monkeypatch.chdir(tmp_path)
    run(*command)


def test_hits_have_labels_and_uris_or_none(odd: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_HOME", str(odd))
    found = json.loads(run("search", "digits:queries/0", "-k", "1500", "--json").stdout)["queries"][0]["hits"]
    assert len(found) == 1500
    assert {type(hit["label"]) for hit in found} <= {int, str, type(None)}
    with cbir.open("digits") as searcher:
        hits = searcher.search(np.zeros(searcher.metadata.dimension, np.float32), k=1500)
    assert {type(hit.uri) for hit in hits} == {str}
