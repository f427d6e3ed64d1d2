"""Every line of docs/qdrant.md that can be typed is typed, against a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cbir.collection.fields import FIELDS
from cbir.collection.point import CHECKSUM
from tests.qdrant import QdrantProcess, needs_binary

KEY = "a-key-of-the-tests"
PAGE = (Path(__file__).parents[2] / "docs" / "qdrant.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PAIR = re.compile(r'\["?(\d)"?,"(digits:database/\d+)"\]|\((\d), \'(digits:database/\d+)\'\)')


def blocks(kind: str) -> list[str]:
    found = [text for language, text in BLOCKS if language == kind]
    assert found
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantProcess]:
    """A server with a key, as docker compose starts one."""
    process = QdrantProcess(tmp_path_factory.mktemp("keyed"), SERVICE__API_KEY=KEY).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def place(server: QdrantProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the page's shell blocks were run, one after the other, each into a file of its own."""
    if not all(map(shutil.which, ("bash", "curl", "jq"))):
        pytest.skip("the page's examples need bash, curl and jq")
    folder = tmp_path_factory.mktemp("page")
    script = "\n".join(f"{{\n{block}}} > {number}.out\n" for number, block in enumerate(blocks("sh")))
    (folder / "page.sh").write_text(f"set -euo pipefail\n{script}", encoding="utf-8")
    done = subprocess.run(
        ["bash", "page.sh"], cwd=folder, env=environment(server, folder), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return folder


def environment(server: QdrantProcess, folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "QDRANT_URL": server.url, "QDRANT_API_KEY": KEY, "CBIR_HOME": str(folder / "home")}
    return {**os.environ, **ours}


def pairs(text: str) -> list[tuple[str, str]]:
    """Return the (label, uri) that a line of output holds."""
    return [(a or c, b or d) for a, b, c, d in PAIR.findall(text.replace(", ", ",").replace(",'", ", '"))]


def output(place: Path, words: str) -> str:
    """Return what the shell block with these words printed."""
    (number,) = [n for n, block in enumerate(blocks("sh")) if words in block]
    return (place / f"{number}.out").read_text(encoding="utf-8")


def hits(text: str) -> list[tuple[str, str]]:
    return [(str(line[-2]), line[-1]) for line in map(json.loads, text.splitlines())]


def test_the_fields_described_are_those_declared():
    rows = [
        f"| `{field.name}` | {' or '.join(field.types)}{', indexed' * bool(field.index)} | {field.about} |"
        for field in FIELDS
    ]
    assert "\n".join(["| field | type | |", "| --- | --- | --- |", *rows]) in PAGE


@needs_binary
def test_the_schema_is_the_one_described(place: Path):
    vectors, stored, schema = (json.loads(part) for part in re.split(r"\n(?=\{)", output(place, "payload_schema")))
    assert vectors == {"size": 128, "distance": "Euclid"}
    assert {field: index["data_type"] for field, index in schema.items()} == {
        "label": "integer",
        "uri": "keyword",
        "source": "keyword",
        "width": "integer",
        "height": "integer",
    }
    assert set(json.loads(output(place, "id() {"))) <= {CHECKSUM, *(field.name for field in FIELDS)}
    described = PAGE[PAGE.index("The metadata's") : PAGE.index("## A vector")]
    assert set(stored) == set(re.findall(r"`(\w+)`", described)) - {"CBIR_HOME"}
    assert json.loads(output(place, "cbir embed")) == {
        "image": "digits:queries/7",
        "fingerprint": stored["fingerprint"],
        "values": 128,
    }


@needs_binary
def test_curl_finds_what_cbir_finds(place: Path, server: QdrantProcess):
    done = subprocess.run(
        [sys.executable, "-m", "cbir", "search", "digits:queries/7", "-k", "5", "-c", "digits", "--json"],
        env=environment(server, place),
        capture_output=True,
        check=True,
    )
    ours = [(str(hit["label"]), hit["uri"]) for hit in json.loads(done.stdout)["queries"][0]["hits"]]
    assert hits(output(place, "{query: .vector, limit: 5, with_payload: [")) == ours
    filtered = hits(output(place, "any: [3, 5]"))
    assert {label for label, _ in filtered} <= {"3", "5"}
    assert len(filtered) == 5
    assert len(hits(output(place, "recommend"))) == len(hits(output(place, "discover"))) == 5
    *uris, offset = json.loads(output(place, "points/scroll"))
    assert len(uris) == 2
    assert offset
    assert sum(count for _, count in map(json.loads, output(place, "facet").splitlines())) == 1500


@needs_binary
def test_python_and_node_find_what_curl_finds(place: Path, server: QdrantProcess):
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=place,
        env=environment(server, place),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *found, scrolled = done.stdout.splitlines()
    shell = ("{query: .vector, limit: 5, with_payload: [", "any: [3, 5]", "recommend", "discover")
    assert [pairs(line) for line in found] == [hits(output(place, words)) for words in shell]
    assert scrolled.startswith("2 128 ")

    if shutil.which("npm") is None:
        pytest.skip("no Node.js here")
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "@qdrant/js-client-rest@^1.17"],
        cwd=place,
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        pytest.skip("@qdrant/js-client-rest cannot be installed here")
    (code,) = blocks("js")
    (place / "page.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run(
        ["node", "page.mjs"], cwd=place, env=environment(server, place), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    searched, filtered, recommended, discovered, scrolled = done.stdout.splitlines()
    assert pairs(searched) == hits(output(place, shell[0]))
    assert pairs(filtered) == hits(output(place, shell[1]))
    assert pairs(recommended) == hits(output(place, shell[2]))
    assert pairs(discovered) == hits(output(place, shell[3]))
    assert scrolled.startswith("2 128 ")


@needs_binary
@pytest.mark.parametrize("block", [text for kind, text in BLOCKS if kind == "http"])
def test_the_dashboards_requests(place: Path, server: QdrantProcess, block: str):
    line, body = block.split("\n", 1)
    method, path = line.split()
    request = urllib.request.Request(
        f"{server.url}/{path}",
        body.encode(),
        {"Content-Type": "application/json", "api-key": KEY},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["result"]["points"]


def test_every_message_it_names_is_one_that_is_given():
    code = "".join(
        path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "collection").rglob("*.py")
    )
    flat = re.sub(r'"\s*f?"|\{[^}]*\}', "", code)
    table = PAGE[PAGE.index("| message |") :]
    for message in re.findall(r"^\| (?!message|---)(.*?) \|", table, re.MULTILINE):
        for alternative in message.split(" / "):
            for part in re.split(r"\.\.\.|[;()]", alternative.replace("1.15", "")):
                words = " ".join(part.split())
                assert words in " ".join(flat.split()), part
