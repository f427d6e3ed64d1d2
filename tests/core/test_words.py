"""One of a thing is told as one."""

import pytest

from cbir.core.words import counted, in_singular
from cbir.ingest.sources.source import LeftOut


def test_counts():
    assert [counted(n, "point") for n in (0, 1, 2_000)] == ["0 points", "1 point", "2,000 points"]
    assert counted(1, "query has", "queries have") == "1 query has"
    assert counted(2, "query has", "queries have") == "2 queries have"


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("hidden", "hidden"),
        ("not pictures (.txt)", "not a picture (.txt)"),
        ("not pictures by name, and unreadable", "not a picture by name, and unreadable"),
        ("neither files nor folders (fifo)", "neither a file nor a folder (fifo)"),
        ("links that lead out of the folder", "link that leads out of the folder"),
        ("links to what is in the folder anyway", "link to what is in the folder anyway"),
        ("folders behind links that are taken already", "folder behind links that are taken already"),
        ("files that macOS keeps beside others (._*)", "file that macOS keeps beside others (._*)"),
        ("HEIF pictures", "HEIF picture"),
        ("camera raw pictures", "camera raw picture"),
        ("in a folder that is read as a whole", "in a folder that is read as a whole"),
        ("of programs or in the trash (pictures)", "of programs or in the trash (pictures)"),
    ],
)
def test_why_one_is_left_out(many: str, one: str):
    assert in_singular(many) == one
    assert str(LeftOut(many, 1)) == f"1 {one}"
    assert str(LeftOut(many, 1_000, hint="--x takes them")) == f"1,000 {many}; --x takes them"
    assert str(LeftOut(many, 1, hint="--x takes them")) == f"1 {one}; --x takes it"
