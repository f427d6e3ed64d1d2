"""The options of what is taken: as keywords, as flags, and as rules for a path."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

import cbir
from cbir.core.options import OptionError, options_of
from cbir.ingest.sources.choice import Choice, ChoiceKeywords, Sieve, patterns
from tests.commands import failure, run
from tests.conftest import picture


def test_keywords_are_the_options():
    assert list(ChoiceKeywords.__annotations__) == list(options_of(Choice))


def test_flags_and_keywords_choose_the_same(home: Path, pictures: Path):
    picture(9).save(pictures / "b" / ".hidden.png")
    (pictures / "c").mkdir()
    picture(8).save(pictures / "c" / "8.png")
    flags = ("--exclude", "c", "--exclude", "b/1.png", "--hidden", "--labels", "folder")
    done = run("ingest", str(pictures), "--encoder", "color-histogram", "--json", *flags)
    report = json.loads(done.stdout)
    assert (report["points"], report["found"]) == (6, 8)
    (left,) = report["left_out"]
    assert (left["reason"], left["count"], set(left["examples"])) == ("matched by --exclude", 2, {"c/", "b/1.png"})
    again = cbir.ingest(pictures, exclude=["c", "b/1.png"], hidden=True, labels="folder")
    assert (again.unchanged, again.found) == (6, 8)
    assert cbir.ingest(pictures, forget_options=True, include=["c"]).ingested == 1


def test_a_wrong_option_is_refused_by_name(home: Path, pictures: Path):
    with pytest.raises(OptionError, match="exclude must be a sequence, not"):
        cbir.ingest(pictures, exclude="b")
    assert "--include" in failure("ingest", pictures, "--include", "!")


@pytest.mark.parametrize(
    ("path", "folder", "reason"),
    [
        (b"a/1.jpg", False, None),
        (b".a", True, "hidden"),
        (b"x/._1.jpg", False, "files that macOS keeps beside others"),
        (b"x/node_modules", True, "of programs or in the trash"),
        (b".Trash-1000", True, "of programs or in the trash"),
        (b"caf\xe9/1.png", False, "matched by --exclude"),
        (b"kept/1.png", False, None),
        (b"ignored/1.jpg", False, "named in .cbirignore"),
        (b"ignored/but.jpg", False, None),
        (b"1.gif", False, "matched by no --include"),
    ],
)
def test_a_path_is_taken_or_left_out_for_a_reason(path: bytes, folder: bool, reason: str | None):
    sieve = Sieve(Choice(exclude=["*.png", "!kept/*.png"], include=["*.jpg", "*.png"]))
    ignores = [(b"", patterns(["ignored/*"], "")), (b"ignored", patterns(["!but.jpg"], ""))]
    found = sieve.reason(path, folder=folder, ignores=ignores)
    assert (found and found[0]) == reason


def test_patterns_of_many_stars_take_no_time():
    # By trying all ways, this would take longer than anybody waits; an ignore file may be somebody else's.
    spec = patterns(["*a" * 30 + "*b"], "x")
    assert not spec.match_file("a" * 250)
    assert spec.match_file("c/" + "a" * 250 + "b")


@given(st.text("ab/*?", min_size=1, max_size=8), st.text("ab/", min_size=1, max_size=9))
def test_patterns_match_as_the_library_has_them(pattern: str, path: str):
    try:
        expected = GitIgnoreSpec.from_lines([pattern]).check_file(path).include
    except ValueError:
        return
    assert patterns([pattern], "x").check_file(path).include == expected
