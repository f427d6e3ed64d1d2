"""The real application over real collections, asked without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cbir.core.settings import read_settings
from cbir.serve.app import create_app
from cbir.serve.config import ServeConfig
from cbir.serve.library import Library
from tests.serve.album import address, folder, page
from tests.serve.browser import browser

#: What several files of tests share: one album and its server for all of them.
__all__ = ["address", "browser", "folder", "page"]


def made_app(**config: object) -> FastAPI:
    """Return an application for the collections of CBIR_HOME."""
    return create_app(Library(read_settings()), ServeConfig(**config))  # type: ignore[arg-type]


@pytest.fixture
def app(digits: Path) -> FastAPI:
    """The application, with the bundled digits; to be read only."""
    return made_app()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Whoever asks it."""
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client
