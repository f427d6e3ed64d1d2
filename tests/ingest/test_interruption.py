"""An ingest that is stopped does not wait for the pictures that its threads would have read next."""

import threading
from pathlib import Path
from typing import Any

import pytest

import cbir
from tests.conftest import picture


@pytest.mark.parametrize(
    ("encoder", "stage"), [("pca", "read"), ("photo:precision=int8", "read"), ("pixels", "encode")]
)
def test_no_thread_is_left_behind_an_error_in_the_middle(home: Path, tmp_path: Path, encoder: str, stage: str):
    for seed in range(700):
        picture(seed, (8, 8)).save(tmp_path / f"{seed}.png")
    known = set(threading.enumerate())

    def stop(now: str, done: int, *_: Any) -> None:
        if now == stage and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        cbir.ingest(tmp_path, encoder=encoder, progress=stop)
    # The error holds on to all frames, and with them to generators that were not closed.
    assert stopped.traceback
    assert [thread.name for thread in set(threading.enumerate()) - known if thread.name.startswith("cbir")] == []
