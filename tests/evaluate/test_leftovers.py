"""Which stored runs are of no use, told from the collections that there are; what is somebody else's stays."""

import json
import os
import time
from pathlib import Path

import pytest

from cbir.core.disk import size_on_disk
from cbir.core.leftover import Leftover
from cbir.core.names import folded
from cbir.core.partial import ABANDONED_AFTER
from cbir.evaluate.leftovers import leftovers

LONG = "photographs of the years that we had the old camera in"
FILLED = {"kept": frozenset({"1f", "2f"}), "lost": None, folded("Straße-pixels"): frozenset({"1f"}), LONG[:25]: None}
OLD, YOUNG = ABANDONED_AFTER + 60, ABANDONED_AFTER - 60
INCOMPLETE = "incomplete: left by a process that was stopped"


def found(runs: Path) -> list[Leftover]:
    return list(leftovers(runs, FILLED))


def scores(*measured: tuple[str, str | None]) -> str:
    """Return the `scores.json` of a run of one collection, or of distorted queries of several."""
    facts = [{"collection": name, **({} if code is None else {"fingerprint": code})} for name, code in measured]
    return json.dumps(facts[0] if len(facts) == 1 else {"collections": facts})


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (scores(("kept", "1f")), ""),
        (scores(("KEPT", "2f")), ""),
        (scores(("kept", None)), ""),
        (scores(("lost", "1f")), ""),
        (scores(("kept", "3f")), "collection 'kept' was filled by another encoder since"),
        (scores(("Gone", "1f")), "collection 'Gone' is gone"),
        (scores(("kept", "1f"), ("gone", "1f")), ""),
        (scores(("kept", "1f"), ("lost", "3f"), ("gone", "1f")), ""),
        (scores(("kept", "3f"), ("Straße-Pixels", "1f")), ""),
        (scores(("zone", "1f"), ("gone", "1f")), "collection 'gone' is gone"),
        (scores(("gone", "1f"), ("kept", "3f")), "collection 'kept' was filled by another encoder since"),
        ("{", ""),
        ("[]", ""),
        ("{}", ""),
        ('{"collections": [7]}', ""),
        ('{"collections": 7}', ""),
    ],
)
def test_a_run_is_of_use_while_one_collection_is_as_it_measured_it(tmp_path: Path, stored: str, reason: str):
    run = tmp_path / "runs" / "a-20260101-120000-000000"
    run.mkdir(parents=True)
    (run / "scores.json").write_text(stored)
    assert found(run.parent) == ([Leftover("run", run, size_on_disk(run), reason)] if reason else [])


@pytest.mark.parametrize(
    ("name", "file", "age", "reason"),
    [
        ("compare-Straße-0123456789ab", "table.md", 0, ""),
        ("compare-strasse-0123456789ab", "table.md", 0, ""),
        ("compare-str-0123456789ab", "table.md", 0, "no collection 'str-...' is left"),
        (f"compare-{LONG}-0123456789ab", "table.md", 0, ""),
        (f"compare-{LONG[:19]}-0123456789ab", "table.md", 0, f"no collection '{LONG[:19]}-...' is left"),
        ("ingest-Kept", "unreadable.jsonl", OLD, ""),
        ("ingest-gone", "unreadable.jsonl", 0, "collection 'gone' is gone"),
        ("ingest-gone", "ingest-report.jsonl", 0, "collection 'gone' is gone"),
        ("ingest-gone", "notes.txt", OLD, ""),
        ("gone", "ingest-report.jsonl", OLD, ""),
        ("gone", "notes.txt", OLD, ""),
        ("gone", "run.npz", YOUNG, ""),
        ("gone", "run.npz", OLD, INCOMPLETE),
        ("gone", "curve.png", OLD, INCOMPLETE),
        ("gone", "row.json", OLD, INCOMPLETE),
        ("gone", "table.md", OLD, INCOMPLETE),
        ("gone", "kept/mirror.npz", OLD, INCOMPLETE),
    ],
)
def test_what_holds_no_scores_is_told_by_its_name_or_files(tmp_path: Path, name: str, file: str, age: int, reason: str):
    folder = tmp_path / "runs" / name
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text("x")
    then = time.time() - age
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))
    assert [(left.kind, left.path, left.reason) for left in found(folder.parent)] == (
        [("run", folder, reason)] if reason else []
    )


def test_links_files_and_hidden_folders_are_not_runs(tmp_path: Path):
    runs = tmp_path / "runs"
    assert found(runs) == []
    for place in (tmp_path / "elsewhere", runs / ".hidden"):
        place.mkdir(parents=True)
        (place / "scores.json").write_text(scores(("gone", "1f")))
    (runs / "linked").symlink_to(tmp_path / "elsewhere")
    (runs / "ingest-report.jsonl").write_text("{}")
    assert found(runs) == []


def test_half_written_files_of_dead_processes_are_found_two_folders_deep(tmp_path: Path):
    name = f".scores.json.{2**22 + 1}-0123abcd.partial"  # no process of Linux's
    (tmp_path / "robustness" / "kept" / "deeper").mkdir(parents=True)
    (tmp_path / "robustness" / "scores.json").write_text(scores(("kept", "1f")))
    places = [tmp_path, tmp_path / "robustness", tmp_path / "robustness" / "kept"]
    for place in (*places, places[-1] / "deeper"):
        (place / name).touch()
    assert [(left.kind, left.path) for left in found(tmp_path)] == [("partial", place / name) for place in places]
