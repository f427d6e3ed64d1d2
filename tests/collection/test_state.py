"""What a shard's state says of it: whatever is odd about it, its points are checked."""

import json
from pathlib import Path

import pytest

from cbir.collection.embedded.state import State, checksums, is_untouched, read_state, write_state


@pytest.mark.parametrize("odd", [{"points": "many"}, {"indexed": None}, {"clean": 1}, {"files": []}, {"updated": None}])
def test_a_state_of_other_types_is_not_clean(tmp_path: Path, odd: dict[str, object]):
    write_state(tmp_path, State(signed=True))
    (file,) = tmp_path.iterdir()
    before = read_state(tmp_path)
    assert before is not None
    assert before.clean
    file.write_text(json.dumps({**json.loads(file.read_text()), **odd}))
    after = read_state(tmp_path)
    assert after is not None
    assert not after.clean


def test_a_shard_with_a_file_that_cannot_be_read_is_not_untouched(tmp_path: Path):
    (tmp_path / "segment.json").write_text("{}")
    closed = State(files=checksums(tmp_path))
    assert is_untouched(tmp_path, closed)
    (tmp_path / "segment.json").unlink()
    (tmp_path / "segment.json").symlink_to("nowhere")
    assert not is_untouched(tmp_path, closed)
