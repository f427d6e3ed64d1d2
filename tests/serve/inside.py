"""A real server in a thread of the tests' own process: it starts at once, and a test may patch what it does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from cbir.core.settings import read_settings
from cbir.serve.config import ServeConfig
from cbir.serve.library import Library
from cbir.serve.run import run


@contextmanager
def serving_inside(home: Path, **config: Any) -> Iterator[str]:
    """Serve a home; yield its address without a slash at the end. What ended the server fails the test."""
    listening, said, servers = threading.Event(), [], []
    usual = uvicorn.Server.__init__

    def made(self: uvicorn.Server, *args: Any, **kwargs: Any) -> None:
        usual(self, *args, **kwargs)
        servers.append(self)

    def ready(address: str) -> None:
        said.append(address)
        listening.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(home))
        patch.setattr(uvicorn.Server, "__init__", made)
        library = Library(read_settings())
        thread = threading.Thread(target=run, args=(library, ServeConfig(port=0, **config), ready))
        thread.start()
        assert listening.wait(60)
    try:
        yield said[0].rstrip("/")
    finally:
        servers[0].should_exit = True
        thread.join()
