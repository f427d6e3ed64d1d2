"""Whoever asks a real application, without a network, and pictures as files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from cbir.core.settings import read_settings
from cbir.serve.app import create_app
from cbir.serve.config import ServeConfig
from cbir.serve.library import Library


@contextmanager
def asking(**config: Any) -> Iterator[TestClient]:
    """Yield who asks an application over the collections of CBIR_HOME; an unexpected error is an answer."""
    app = create_app(Library(read_settings()), ServeConfig(**config))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


def file_of(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    """Return the picture in a file's bytes."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture
