"""What the tests share: a home of their own, pictures, and digits ingested once."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import filelock
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

import cbir
from cbir.collection.served.address import address
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.server import Server
from cbir.core.settings import read_settings
from tests.fonts import forget
from tests.qdrant import BINARY, GIVEN_KEY, GIVEN_URL, NO_BINARY, NO_SERVER, QdrantProcess

#: Enough to search with; the article's 20 are for benchmarks.
EPOCHS = 2

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own collections and caches out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(tmp_path_factory.mktemp("nobody")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        for name in ("QDRANT_URL", "QDRANT_API_KEY", "QDRANT_GRPC_PORT", "CBIR_PROVIDERS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CBIR_HOME."""
    place = tmp_path / "home"
    monkeypatch.setenv("CBIR_HOME", str(place))
    return place


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Train once, whatever the number of pytest-xdist's workers; each has a copy, as one process holds a shard."""
    place = tmp_path_factory.mktemp("digits") / "home"
    base = tmp_path_factory.getbasetemp()
    trained = place if worker_id == "master" else base.parent / "digits-home"
    with filelock.FileLock(base.parent / "digits.lock"):
        if not trained.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CBIR_HOME", str(trained))
                report = cbir.ingest("digits", encoder=f"autoencoder:epochs={EPOCHS}")
            assert report.trained
            assert report.points == 1500
        if trained != place:
            shutil.copytree(trained, place)
    return place


@pytest.fixture
def digits(_trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CBIR_HOME with the bundled digits ingested; to be read only."""
    monkeypatch.setenv("CBIR_HOME", str(_trained))
    return _trained


@pytest.fixture
def bundle(_trained: Path) -> Path:
    """A trained model bundle."""
    return _trained / "models" / "digits"


@pytest.fixture(scope="session")
def mnist_data() -> Path:
    """The folder that holds `mnist/`, named by CBIR_DATA."""
    folder = os.environ.get("CBIR_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("MNIST is not here: name the folder that holds mnist/ with CBIR_DATA")
    return Path(folder)


def picture(seed: int = 0, size: tuple[int, int] = (28, 28)) -> Image.Image:
    """A grey picture: a light blob on black, different for each seed."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]]
    centre, width = generator.uniform(0.3, 0.7, 2), generator.uniform(0.05, 0.2, 2)
    blob = np.exp(-(((x / size[0] - centre[0]) / width[0]) ** 2) - ((y / size[1] - centre[1]) / width[1]) ** 2)
    return Image.fromarray((255 * blob).astype(np.uint8))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two class folders of three pictures each."""
    return saved_classes(tmp_path / "pictures", ("münchen käse", "b"), 3)


def saved_classes(folder: Path, labels: Sequence[str], count: int) -> Path:
    """Save `count` pictures for each label, all different, in a folder of its name; return what these are in."""
    digits = len(str(count - 1))
    for number, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for index in range(count):
            picture(10**digits * number + index).save(folder / label / f"{index:0{digits}}.png")
    return folder


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real, empty server: the one that QDRANT_URL names, or one started here."""
    if GIVEN_URL:
        with closing(Server(address(GIVEN_URL), GIVEN_KEY)) as server:
            there = server.client.get_collections().collections
        if there:
            pytest.fail(f"QDRANT_URL names a server that holds {len(there)} collections; the tests want an empty one")
        yield GIVEN_URL
        return
    if BINARY is None:
        pytest.skip(NO_SERVER)
    process = QdrantProcess(tmp_path_factory.mktemp("qdrant")).start()
    yield process.url
    process.stop()


@pytest.fixture
def served(qdrant: str, tmp_path: Path) -> Iterator[ServedEngine]:
    """A real server's engine; what a test leaves there is removed, and so are maps of it, which have no other home."""
    engine = ServedEngine(Server(address(qdrant), GIVEN_KEY, retry_for=20), tmp_path / "locks")
    yield engine
    client = engine.server.client
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)
    engine.close()
    shutil.rmtree(read_settings().cache / "maps", ignore_errors=True)


@pytest.fixture
def own_qdrant(tmp_path: Path) -> Iterator[QdrantProcess]:
    """A server that a test may kill."""
    if BINARY is None:
        pytest.skip(NO_BINARY)
    process = QdrantProcess(tmp_path / "qdrant").start()
    yield process
    process.kill()


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder of fonts that the system has; empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    folder = tmp_path / "fonts"
    folder.mkdir()
    forget()
    yield folder
    forget()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say loudly, after everything else, what was not tested for want of a server."""
    yield
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    for reason in (NO_SERVER, NO_BINARY):
        count = sum(isinstance(why, tuple) and why[2] == f"Skipped: {reason}" for why in skipped)
        if count:
            terminalreporter.write_line(f"NOT TESTED: {count} tests of the served collection: {reason}", red=True)
