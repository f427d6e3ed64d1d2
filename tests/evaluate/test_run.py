"""Stored runs: written, read, and refused."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.evaluate.run import RunError, load_run, save_run
from cbir.evaluate.scores import score
from tests.evaluate.test_scores import make_run, rankings


@given(rankings())
def test_a_stored_run_is_read_as_it_was(tmp_path_factory, ranking: tuple[np.ndarray, np.ndarray]):
    path = tmp_path_factory.mktemp("run") / "deep" / "run.npz"
    run = make_run(*ranking)
    save_run(run, path)
    loaded = load_run(path)
    assert score(loaded) == score(run)
    assert (loaded.about, loaded.query_uris.tolist()) == (run.about, run.query_uris.tolist())
    assert [p.name for p in path.parent.iterdir()] == ["run.npz"]


def rewritten(path: Path, **facts: object) -> None:
    """Change facts in a stored run; None removes one."""
    with np.load(path) as stored:
        content = dict(stored)
    changed = {**json.loads(str(content["facts"])), **facts}
    content["facts"] = np.array(json.dumps({name: value for name, value in changed.items() if value is not None}))
    np.savez(path, **content)


def test_a_run_of_a_newer_cbir_is_refused_and_one_without_a_format_is_read(tmp_path: Path):
    path = tmp_path / "run.npz"
    run = make_run(np.array([[True, False, True]]))
    save_run(run, path)
    with np.load(path) as stored:
        assert json.loads(str(stored["facts"]))["format"] == 1
    rewritten(path, format=None, more="of a later version")
    assert score(load_run(path)) == score(run)
    rewritten(path, format=2)
    with pytest.raises(RunError, match=r"run.npz was written by a newer cbir \(format 2; .*up to 1\): upgrade cbir"):
        load_run(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("a./", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=4,
)
ARRAYS = st.sampled_from(
    [
        np.zeros(3),
        np.zeros((2, 1), np.uint8),
        np.zeros((2, 3), np.float32),
        np.array([["a"]]),
        np.array("x"),
        np.empty(0),
    ]
)


@given(
    st.dictionaries(st.sampled_from(["format", "collection", "database", "ranks", "about"]), JSON),
    st.dictionaries(
        st.sampled_from(["relevant", "tied", "exact_ids", "served_distances", "query_uris", "copies"]), ARRAYS
    ),
)
def test_whatever_a_file_holds_it_is_a_run_that_can_be_scored_or_it_is_refused(
    tmp_path_factory, facts: dict[str, object], arrays: dict[str, np.ndarray]
):
    path = tmp_path_factory.mktemp("run") / "run.npz"
    save_run(make_run(np.array([[True, False, True], [False, True, False]])), path)
    rewritten(path, **facts)
    with np.load(path) as stored:
        content = {**stored, **arrays}
    np.savez(path, **content)
    with suppress(RunError):
        run = load_run(path)
        score(run)
        json.dumps(run.about)


def test_a_run_of_before_copies_were_counted_has_none(tmp_path: Path):
    path = tmp_path / "run.npz"
    save_run(make_run(np.array([[True, False, True]]), copies=[2]), path)
    assert load_run(path).copies.tolist() == [2]
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored if name != "copies"}
    np.savez(path, **content)
    assert load_run(path).copies.tolist() == [0]


def test_damaged_and_missing_runs_are_refused(tmp_path: Path):
    with pytest.raises(RunError, match="no run"):
        load_run(tmp_path / "run.npz")
    (tmp_path / "run.npz").write_bytes(b"PK nothing")
    with pytest.raises(RunError, match="not a stored run"):
        load_run(tmp_path / "run.npz")
    save_run(make_run(np.random.default_rng(0).random((9, 99)) < 0.5), tmp_path / "run.npz")
    content = bytearray((tmp_path / "run.npz").read_bytes())
    for position in range(0, len(content), 13):  # one damaged byte anywhere
        damaged = content.copy()
        damaged[position] ^= 0xFF
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with suppress(RunError):  # some bytes do not matter; no other error may come
            load_run(tmp_path / "damaged.npz")
    np.savez(tmp_path / "run.npz", a=np.arange(3))
    with pytest.raises(RunError, match="not a stored run"):
        load_run(tmp_path / "run.npz")
