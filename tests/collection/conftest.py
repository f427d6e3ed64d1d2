"""Each engine, for the tests of what all of them must do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.interface import Collection, Engine
from cbir.collection.served.cards import MetadataStore
from cbir.collection.served.engine import ServedEngine
from tests.collection.lent import lent
from tests.collection.sample import IN_MEMORY, METADATA
from tests.qdrant import MemoryServer


@pytest.fixture(params=["embedded", "lent", "served", "served, older", IN_MEMORY])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "embedded":
        yield EmbeddedEngine(tmp_path / "collections", timeout=0)
    elif request.param == "lent":
        with lent(tmp_path / "collections") as holder:
            yield EmbeddedEngine(holder.collections, timeout=0)
    elif request.param == "in memory":
        yield ServedEngine(MemoryServer(), tmp_path / "locks")
    else:
        served: ServedEngine = request.getfixturevalue("served")
        reserved = request.param == "served, older"
        yield ServedEngine(served.server, tmp_path / "locks", store=MetadataStore(served.server, reserved=reserved))


@pytest.fixture
def points(engine: Engine) -> Iterator[Collection]:
    collection = engine.create("points", METADATA)
    yield collection
    collection.close()
