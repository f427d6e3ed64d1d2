"""Commands beside a running `cbir serve` that holds the embedded collections go through it: real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from cbir.collection.home import open_engine
from cbir.collection.lent.line import LenderGoneError
from cbir.core.settings import read_settings
from cbir.ingest.sources.digits import digits as load_digits
from cbir.serve.app import create_app
from cbir.serve.config import ServeConfig
from cbir.serve.library import Library
from tests.commands import run
from tests.conftest import picture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no such sockets there")

#: An ingest that says when it has stored something, and then waits.
SLOW = """
import sys, time
from cbir.__main__ import main
from cbir.collection.lent.borrowed import BorrowedCollection
from cbir.ingest.read import read

sys.modules["cbir.ingest.read"].BATCH = 16
upsert = BorrowedCollection.upsert
def slow(self, *points):
    upsert(self, *points)
    print("stored", flush=True)
    sys.stdin.readline()
BorrowedCollection.upsert = slow
main()
"""

#: A server where an index takes for ever.
INDEXING = """
import threading
from cbir.__main__ import main
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.collection.lent import lender

def build_index(self, **options):
    options["progress"]("index", 0, 1)
    threading.Event().wait()
EmbeddedCollection.build_index = build_index
lender._PATIENCE = 0.5
main()
"""


@contextmanager
def serving(home: Path, *program: str) -> Iterator[tuple["subprocess.Popen[str]", httpx.Client]]:
    """Run `cbir serve` on a home, and yield its process and whoever asks it."""
    process = subprocess.Popen(
        [sys.executable, *(program or ("-m", "cbir")), "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CBIR_HOME": str(home)},
    )
    assert process.stderr is not None
    with process, process.stderr:
        said = process.stderr.readline()
        address = said.partition("the page is at ")[2].split()[0]
        with httpx.Client(base_url=address, timeout=30) as client:
            try:
                yield process, client
            finally:
                process.terminate()
                assert process.wait(30) in (0, -signal.SIGKILL)


@pytest.fixture(scope="module")
def served(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, httpx.Client]]:
    """A home with the digits, and the server that holds them."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(_trained, home)
    with serving(home) as (_, client):
        assert client.get("/api/collections/digits").json()["points"] == 1500
        yield home, client


@pytest.fixture
def home(served: tuple[Path, httpx.Client], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CBIR_HOME", str(served[0]))
    return served[0]


@pytest.fixture
def client(served: tuple[Path, httpx.Client]) -> httpx.Client:
    return served[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "blobs"
    folder.mkdir()
    for seed in range(40):
        picture(seed).save(folder / f"{seed}.png")
    return folder


def searched(*arguments: object, **environment: str) -> list[tuple[str, float]]:
    found = json.loads(run("search", *arguments, "--json", **environment).stdout)
    return [(hit["uri"], round(hit["distance"], 4)) for each in found["queries"] for hit in each["hits"]]


def test_a_search_finds_the_same_and_loads_neither_encoder_nor_engine(home: Path, bundle: Path, tmp_path: Path):
    load_digits().picture("digits:queries/4").save(tmp_path / "q.png")
    asked = [tmp_path / "q.png", "digits:queries/3", tmp_path / "q.png", "-", "0.5:digits:queries/5"]
    query = [*asked, "--collection", "digits", "-k", "5", "--where", "label>=3"]
    alone = searched(*query, CBIR_HOME=str(bundle.parents[1]))
    assert len(alone) == 15
    assert searched(*query) == alone
    code = f"""
import sys
sys.argv = {["cbir", "search", *map(str, query), "--json"]!r}
from cbir.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print(' '.join(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"onnxruntime", "qdrant_edge", "numpy", "PIL"} & set(done.stderr.splitlines()[-1].split())


def test_a_search_prints_the_same_whatever_is_asked(
    home: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the server where that can read the query, and here where it is odd: words, a warning, a file that is none."""
    load_digits().picture("digits:queries/4").save(tmp_path / "q.png")
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (28, 28), 255).save(tmp_path / "white.png")
    monkeypatch.chdir(tmp_path)
    for asked in (
        ["q.png", "./q.png", "+", "2:./q.png"],
        ["q.png", "white.png"],
        ["q.png", "--paths"],
        ["q.png", "text.png"],
        ["digits:queries/3", "q.png", "-", "0.5:digits:queries/5"],
    ):
        said = [
            run("search", *asked, "--collection", "digits", "-k", "3", code="text.png" in asked, CBIR_HOME=str(place))
            for place in (home, bundle.parents[1])
        ]
        assert said[0] == said[1]


def test_an_ingest_stores_through_the_server_which_answers_meanwhile(home: Path, client: httpx.Client, root: Path):
    arguments = ["cbir", "ingest", str(root), "--model", str(home / "models" / "digits")]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "stored\n"
        assert client.get("/api/collections/blobs").json()["points"] == 16
        identity = client.post("/api/collections/digits/search", json={"vector": [0.0] * 128}).json()["hits"][0]["id"]
        assert client.get(f"/api/collections/digits/points/{identity}").status_code == 200
        process.stdin.write("\n\n\n")
        process.stdin.close()
        assert process.wait(60) == 0
    found = client.post("/api/collections/blobs/search", json={"vector": [0.0] * 128, "k": 50}).json()["hits"]
    assert sorted(hit["path"] for hit in found) == sorted(str(path) for path in root.iterdir())


def test_pictures_of_another_folder_have_their_paths_in_the_server_too(
    home: Path, client: httpx.Client, tmp_path: Path
):
    for name, seed in (("one", 100), ("two", 101)):
        (tmp_path / name).mkdir()
        picture(seed).save(tmp_path / name / "1.png")
        model = ["--model", home / "models" / "digits"]
        run("ingest", tmp_path / name, "--collection", "several", *model)
        client.post("/api/collections/several/search", json={"vector": [0.0] * 128})
    found = client.post("/api/collections/several/search", json={"vector": [0.0] * 128}).json()["hits"]
    assert sorted(hit["path"] for hit in found) == [str(tmp_path / name / "1.png") for name in ("one", "two")]
    moved = tmp_path / "three"
    (tmp_path / "two").rename(moved)
    run("move", tmp_path / "two", moved)
    found = client.post("/api/collections/several/search", json={"vector": [0.0] * 128}).json()["hits"]
    assert sorted(hit["path"] for hit in found) == [str(tmp_path / name / "1.png") for name in ("one", "three")]
    run("remove", "several", "--where", "uri=1.png", "--yes")
    assert client.get("/api/collections/several").json()["points"] == 0


def test_what_replaces_a_collection_asks_the_server_to_let_go(
    home: Path, client: httpx.Client, root: Path, tmp_path: Path
):
    model = ["--collection", "again", "--model", home / "models" / "digits"]
    run("ingest", root, *model)
    assert client.get("/api/collections/again").json()["dimension"] == 128
    run("ingest", root, "--collection", "again", "--retrain", "--encoder", "pca")
    described = client.get("/api/collections/again").json()
    assert described["encoder"] == "pca"
    assert described["points"] == 40
    assert len(list((home / "collections" / "again").glob("shard-*"))) == 1
    run("snapshot", "again", "--save", tmp_path / "again.zip")
    run("remove", "again", "--yes")
    assert client.get("/api/collections/again").status_code == 404
    run("restore", tmp_path / "again.zip", "--collection", "again")
    assert client.get("/api/collections/again").json()["points"] == 40


def test_other_commands_do_beside_a_server_what_they_do_alone(
    home: Path, client: httpx.Client, bundle: Path, root: Path, qdrant: str, tmp_path: Path
):
    picture(0).save(root / "copy.bmp")
    alone = {"CBIR_HOME": str(tmp_path / "alone")}
    shutil.copytree(bundle.parent, tmp_path / "alone" / "models")
    ingested = ["ingest", root, "--collection", "beside", "--model"]
    run(*ingested, home / "models" / "digits")
    run(*ingested, tmp_path / "alone" / "models" / "digits", **alone)
    away = ["beside", "--qdrant-url", qdrant, "--json"]
    for command, told in (
        (["info", "beside", "--check", "--json"], lambda found: (found[0]["sound"], found[0]["points"])),
        (["duplicates", "beside", "--json"], lambda found: [each["keep"]["uri"] for each in found["groups"]]),
        (["evaluate", "--collection", "beside", "--queries", "3", "--json"], lambda found: found["copies"]["rows"]),
        (["prune", "--yes", "--json"], list),
        (["push", *away], lambda found: (found["points"], found["compared"])),
        (["pull", *away], lambda found: (found["points"], found["compared"])),
    ):
        assert client.get("/api/collections/beside").json()["points"] == 41, "the server has it open"
        found, expected = (told(json.loads(run(*command, **where).stdout)) for where in ({}, alone))
        assert found == expected, command
    run("remove", "beside", "--qdrant-url", qdrant, "--yes")
    assert len(searched(root / "1.png", "--collection", "beside", "-k", "50")) == 41


def test_a_server_killed_in_the_middle_of_an_ingest_loses_nothing(
    bundle: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    monkeypatch.setenv("CBIR_HOME", str(home))
    shutil.copytree(bundle.parent, home / "models")
    arguments = ["ingest", str(root), "--model", str(home / "models" / "digits")]
    with (
        serving(home) as (server, _),
        subprocess.Popen(
            [sys.executable, "-c", SLOW, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "stored\n"
        server.kill()
        server.wait()
        _, said = process.communicate("\n\n\n", timeout=60)
        assert process.returncode == 1
        assert "Nothing stored is lost. Run the same command again" in said
    again = run(*arguments)
    assert "16" in again.stdout + again.stderr
    assert json.loads(run("info", "blobs", "--check", "--json").stdout)
    assert len(searched(root / "1.png", "--collection", "blobs", "-k", "50")) == 40


def test_a_server_that_is_told_to_end_does_not_wait_for_the_index_of_another_command(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    shutil.copytree(bundle.parents[1], home)
    monkeypatch.setenv("CBIR_HOME", str(home))
    begun, ended = threading.Event(), threading.Event()

    def build() -> None:
        with suppress(LenderGoneError), closing(open_engine(read_settings()).open("digits")) as borrowed:
            borrowed.build_index(progress=lambda *_: begun.set())
        ended.set()

    with serving(home, "-c", INDEXING) as (server, _):
        threading.Thread(target=build, daemon=True).start()
        assert begun.wait(30)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert ended.wait(10)
    assert len(searched("digits:queries/4", "--collection", "digits", "-k", "5")) == 5


def test_who_asks_for_a_collection_that_is_being_replaced_is_told_to_come_again(digits: Path):
    library = Library(read_settings())
    app = create_app(library, ServeConfig())
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.get("/api/collections/digits").status_code == 200
        with library.let_go("digits"):
            answer = client.get("/api/collections/DIGITS")
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "being replaced" in answer.json()["detail"]
        assert client.get("/api/collections/digits").json()["points"] == 1500
