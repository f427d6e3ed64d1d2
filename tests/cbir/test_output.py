"""What is printed of names and labels that others chose: on any terminal, pipe or file, and in any encoding."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cbir.cli import output, terminal
from tests.commands import run, run_encoded, run_on_terminal
from tests.conftest import picture

#: Names of folders, and so labels, with what each is printed as where the output is UTF-8.
LABELS = {
    "写真": "写真",
    "हिन्दी": "हिन्दी",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "\x9b31mred": r"\x9b31mred",
    "two\nlines\r": r"two\nlines\r",
    "\u202egnp": r"\u202egnp",
    ":smile:": ":smile:",
    "[red]x": "[red]x",
    "[bold": "[bold",
    "x\\": "x\\",
    "\\[y]\\\\": "\\[y]\\\\",
    "caf\udce9": "caf%E9",
}
#: What no terminal must get of them.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ud800-\udfff]")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a class folder for each odd name, ingested into the home beside it."""
    folder = tmp_path_factory.mktemp("odd") / "odd"
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        picture(number).save(folder / label / f"{label}.png")
    (folder / "\x1b[2Jbad.png").write_text("no picture")
    run("ingest", folder, "--encoder", "pixels", "--labels", "folder", CBIR_HOME=str(folder.with_name("home")))
    return folder


@pytest.fixture
def query(odd: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CBIR_HOME", str(odd.with_name("home")))
    return odd / "\x1b[31mred\x1b[0m" / "\x1b[31mred\x1b[0m.png"


def cells(printed: str) -> list[list[str]]:
    """Return the rows of a table, without its headings."""
    rows = [re.split(r" *[│|] *", line)[1:-1] for line in printed.splitlines() if line[:1] in "│|"]
    return [row for row in rows if row and row[0].isdecimal()]


def test_a_label_is_printed_as_it_is_and_in_one_row(query: Path):
    rows = cells(run("search", query, "-k", 50).stdout)
    assert sorted(label for _, _, label, _ in rows) == sorted(LABELS.values())
    assert [int(rank) for rank, *_ in rows] == list(range(1, len(LABELS) + 1))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "shift_jis", "utf-8", "utf-16"])
@pytest.mark.parametrize(
    "given", [["search", "-k", "50"], ["info"], ["ingest"], ["duplicates"], ["remove", "odd", "-n"]]
)
def test_no_encoding_is_an_error_and_nothing_reaches_a_terminal_raw(
    query: Path, odd: Path, given: list[str], encoding: str
):
    given = [{"-n": "--dry-run"}.get(argument, argument) for argument in given]
    more = [query] if given[0] == "search" else [odd] if given[0] == "ingest" else []
    printed = "\n".join(each.decode(encoding) for each in run_encoded(encoding, *given, *more))
    assert not RAW.search(printed)
    assert "unexpected" not in printed
    if given[0] == "search":
        assert len(cells(printed)) == len(LABELS)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "shift_jis", "utf-8"])
def test_documents_are_valid_in_any_encoding_and_lose_nothing(query: Path, encoding: str):
    written, _ = run_encoded(encoding, "search", query, "-k", 50, "--json")
    text = written.decode("utf-8")  # JSON is UTF-8
    assert not RAW.search(text)
    assert text.isascii() == (encoding != "utf-8")
    (found,) = json.loads(text, parse_constant=pytest.fail)["queries"]
    assert found["image"] == str(query)
    paths = {Path(hit["path"]) for hit in found["hits"]}
    assert {path.parent.name for path in paths} == set(LABELS)
    assert all(path.exists() for path in paths)


def test_half_characters_are_escaped_as_json_has_them(query: Path):
    written, _ = run_encoded("utf-8", "search", query, "-k", 50, "--json")
    assert rb"caf\udce9" in written
    assert "写真".encode() in written


def test_numbers_that_json_does_not_have_are_null(capsys: pytest.CaptureFixture[str]):
    output.print_json({"a": [1.5, float("nan")], "b": {"c": float("-inf")}})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"a": [1.5, None], "b": {"c": None}}


def test_paths_are_bytes_for_programs_and_names_on_a_terminal(query: Path, monkeypatch: pytest.MonkeyPatch):
    for encoding in ("cp1252", "utf-8"):
        written, _ = run_encoded(encoding, "search", query, "-k", 50, "-0")
        assert {Path(os.fsdecode(path)).parent.name for path in written.split(b"\0")[:-1]} == set(LABELS)

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO(), "latin-1", write_through=True))
    output.print_paths(["/写/a\x1b[31m\nb", "/caf\udce9"], null=True)
    assert sys.stdout.buffer.getvalue() == b"/\\u5199/a\\x1b[31m\\nb\n/caf\\xe9\n"


def test_wrong_usage_repeats_what_was_typed_without_its_escapes(home: Path):
    for given in (
        ["\x1b[31mred"],
        ["--\x1b[31mred"],
        ["search", "x", "--\x1b[31mred"],
        ["search", "x", "-k", "\x1b[31m"],
    ):
        _, told = run_encoded("utf-8", *given, code=2)
        assert rb"\x1b[31m" in told
        assert not RAW.search(told.decode())


def test_messages_and_tracebacks_are_printable(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CBIR_DEBUG", "1")
    _, told = run_encoded("cp1252", "ingest", "写真\x1b[31m", code=1)
    assert not RAW.search(told.decode("cp1252"))
    assert "Traceback" in told.decode("cp1252")
    assert rb"\u5199\u771f\x1b[31m" in told


def test_help_in_any_encoding():
    for encoding in ("ascii", "cp1252"):
        assert b"Usage" in run_encoded(encoding, "search", "--help")[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("given", [["info"], ["info", "--json"], ["encoders"]])
def test_a_full_disk_is_told_in_one_line(home: Path, given: list[str]):
    command = [sys.executable, "-m", "cbir", *given]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("cbir: standard output cannot be written: ")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error_and_no_file_of_ours_takes_their_place(query: Path, closed: str):
    for given in ("info", "search digits:queries/0 --paths -c nix"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m cbir {given} {closed}"], capture_output=True, timeout=60
        )
        assert done.returncode == given.startswith("search")
        assert b"unexpected" not in done.stderr


def test_progress_is_bars_on_a_terminal_and_standard_output_is_the_document(odd: Path, home: Path):
    written, drawn = run_on_terminal("ingest", odd, "--encoder", "pixels", "--json", TERM="xterm")
    assert json.loads(written)["ingested"] == len(LABELS)
    assert b"encoding and storing" in drawn
    assert "━".encode() in drawn
    assert rb"\x1b[2Jbad.png" in drawn
    assert b"\x1b[2J" not in drawn


def test_a_note_stands_above_the_bars_in_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(written, "utf-8", write_through=True))
    monkeypatch.setenv("TERM", "xterm")
    with terminal.bars() as report:
        output.note("before [red]the first bar")
        report("encode", 1, 2)
        output.note("between :smile: \x1b[31m")
        report("encode", 2, 2)
    output.note("after")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue().decode().replace("\r", "\n")).splitlines()
    assert [line for line in shown if "cbir:" in line] == [
        "cbir: before [red]the first bar",
        r"cbir: between :smile: \x1b[31m",
        "cbir: after",
    ]


@pytest.mark.parametrize("where", ["pipe", "dumb"])
def test_progress_is_silent_where_no_bar_can_be_drawn(odd: Path, home: Path, where: str):
    given = ["ingest", odd, "--encoder", "pixels"]
    if where == "dumb":
        _, drawn = run_on_terminal(*given, TERM="dumb")
        told = drawn.decode().splitlines()
    else:
        told = run(*given).stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == ["cbir"]  # the picture that cannot be read


def test_what_takes_long_is_told_in_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with terminal.bars() as report:
        for done in range(1001):
            now[0] = done * 0.1
            report("encode", done, 2000, "a\x1bb")
        now[0] += 31
        report("rank", 7, None)
    assert capsys.readouterr().err.splitlines() == [
        r"cbir: encoding and storing: 300 of 2,000, a\x1bb",
        r"cbir: encoding and storing: 600 of 2,000, a\x1bb",
        r"cbir: encoding and storing: 900 of 2,000, a\x1bb",
        "cbir: ranking: 7",
    ]
