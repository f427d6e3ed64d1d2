"""What people type, read as queries."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.search.piped import Piped
from cbir.search.query import Combination, Query, QueryError, Term, Words
from cbir.search.terms import parse, spell, title

FILES = ("cat.jpg", "dog.png", "2:cat.jpg", "3.jpg", "no suffix")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with some files and a folder."""
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sums(*terms: tuple[float, str | Words | Piped]) -> Query:
    return Combination([Term(*term) for term in terms])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cat.jpg"], ["cat.jpg"]),
        (["cat.jpg", "a cat"], ["cat.jpg", Words("a cat")]),
        (["no suffix", "digits:queries/4"], ["no suffix", "digits:queries/4"]),
        (["cat.jpg", "+", "a cat", "-", "dog.png"], [sums((1, "cat.jpg"), (1, Words("a cat")), (-1, "dog.png"))]),
        (["cat.jpg", "-", "dog.png", "dog.png"], [sums((1, "cat.jpg"), (-1, "dog.png")), "dog.png"]),
        (["3:cat.jpg", "-", ".5:a cat"], [sums((3, "cat.jpg"), (-0.5, Words("a cat")))]),
        (["2:cat.jpg", "+", "2:2:cat.jpg"], [sums((1, "2:cat.jpg"), (2, "2:cat.jpg"))]),
        (["2e1:digits:queries/4", "+", "cat.jpg"], [sums((20, "digits:queries/4"), (1, "cat.jpg"))]),
        (["2:a cat"], [Words("a cat")]),
        (["1:16:9", "1:+"], [Words("16:9"), Words("+")]),
        (["12:30 on a clock", "4:3 television"], [Words("12:30 on a clock"), Words("4:3 television")]),
        (["1:1 scale model", "2.39:1", "0:30 left"], [Words("1:1 scale model"), Words("2.39:1"), Words("0:30 left")]),
        (["12:30:45"], [Words("12:30:45")]),
        (["cat.jpg", "+", "2: 3 cats"], [sums((1, "cat.jpg"), (2, Words("3 cats")))]),
        (["2:3.jpg", "+", "cat.jpg"], [sums((2, "3.jpg"), (1, "cat.jpg"))]),
        (["cat.jpg", "+", "1:12:30 on a clock"], [sums((1, "cat.jpg"), (1, Words("12:30 on a clock")))]),
        (["cats"], [Words("cats")]),  # a folder is no picture
        (["  a\tcat\n"], [Words("a cat")]),
        (["mailto:someone"], [Words("mailto:someone")]),
    ],
)
def test_arguments_are_paths_uris_words_and_their_sums(here: Path, arguments: list[str], expected: list[Query]):
    assert parse(arguments, datasets=["digits"]) == expected


def test_text_makes_everything_words(here: Path):
    read = parse(["cat.jpg", "+", "2:cat.jpg", "a/b", "missing.png"], text=True)
    assert read == [sums((1, Words("cat.jpg")), (2, Words("cat.jpg"))), Words("a/b"), Words("missing.png")]


def test_text_keeps_its_beginning():
    assert parse(["12:30 on a station clock", "1:1"], text=True) == [Words("12:30 on a station clock"), Words("1:1")]


def test_an_address_is_a_path(here: Path):
    assert parse(["https://example.org/cat"]) == ["https://example.org/cat"]


@pytest.mark.parametrize("typo", ["caat.jpg", "CAT.JPEG ", "photos/cat", r"photos\cat", "./x", "x.webp", "2:y.heic"])
def test_a_typo_in_a_path_is_no_words(here: Path, typo: str):
    with pytest.raises(QueryError, match=r"does not exist; if it is meant as words, add --text"):
        parse([typo])
    # Where words cannot be searched for, the error is that of a missing file, when it is opened.
    (missing,) = parse([typo], refusal=lambda: "no words here")
    assert missing == typo.removeprefix("2:")


def test_words_are_refused_with_the_collection_s_reason_and_files_are_not(here: Path):
    assert parse(["cat.jpg", "cats"], refusal=lambda: "no words here") == ["cat.jpg", "cats"]
    with pytest.raises(QueryError, match="'12:30 on a clock' is not a file, and no words here"):
        parse(["12:30 on a clock"], refusal=lambda: "no words here")
    with pytest.raises(QueryError, match="'a cat' is not a file, and no words here"):
        parse(["cat.jpg", "+", "a cat"], refusal=lambda: "no words here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "cat.jpg"], "'-' stands between"),
        (["+", "cat.jpg"], r"'\+' stands between"),
        (["cat.jpg", "+", "-", "dog.png"], "'-' stands between"),
        (["cat.jpg", "-"], "nothing follows the '-'"),
        (["nan:cat.jpg"], "finite number other than 0, not nan"),
        (["INF:cat.jpg"], "not inf"),
        (["1e999:cat.jpg"], "not inf"),
        (["0:cat.jpg"], r"not 0\.0"),
        ([":cat.jpg"], "empty weight; write 2:cat.jpg"),
        (["2:"], "nothing to search for"),
        (["+dog.png"], r"stands alone between two terms: \+ dog\.png"),
        (["-2:dog.png"], "stands alone between two terms: - 2:dog.png"),
        (
            ["cat.jpg", "+", "2:3 cats"],
            r"may be words, or '3 cats' with the weight 2; write 1:2:3 cats for .*, '2: 3 cats' for",
        ),
        (["12:30", "-", "cat.jpg"], "may be words, or '30' with the weight 12"),
        ([""], "empty"),
        ([" \n"], "empty"),
        (["\u200b"], "empty"),
        (["a\x07cat"], r"'\\x07'"),
        (["a \udcff cat"], r"'\\udcff'"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_why(here: Path, arguments: list[str], message: str):
    with pytest.raises(QueryError, match=message):
        parse(arguments)


def test_a_minus_alone_or_as_a_term_is_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch):
    came = Piped("-", b"picture")
    monkeypatch.setattr("cbir.search.terms.read_piped", lambda path: came)
    assert parse(["-"]) == [came]
    assert parse(["-", "-", "dog.png"]) == [sums((1, came), (-1, "dog.png"))]
    assert parse(["cat.jpg", "+", "-"]) == [sums((1, "cat.jpg"), (1, came))]
    with pytest.raises(QueryError, match="nothing follows"):
        parse(["-", "+"])


def test_a_title_can_be_typed(here: Path):
    assert title("a b.jpg") == "a b.jpg"
    assert title(Words("a cat")) == '"a cat"'
    (read,) = parse(["3:cat.jpg", "+", "a cat", "-", "0.5:2:cat.jpg", "+", "2:cat.jpg"])
    assert title(read) == "3:cat.jpg + 'a cat' - 0.5:2:cat.jpg + 1:2:cat.jpg"
    assert [*spell(Words("+")), *spell(Words("-1")), *spell(Words("2:x"))] == ["1:+", "1:-1", "1:2:x"]


pieces = st.sampled_from(
    ["+", "-", "cat.jpg", "2:cat.jpg", "2:", ":", "nan:", ".5:", "1e3:", "x.png", "a cat", "cats", "12:30", "3 "]
)
arguments = st.lists(st.one_of(pieces, st.text(max_size=8), st.builds(str.__add__, pieces, pieces)), max_size=6)


@given(arguments, st.booleans(), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
def test_any_arguments_are_queries_or_an_error_and_queries_can_be_spelled(
    here: Path, monkeypatch: pytest.MonkeyPatch, given_arguments: list[str], text: bool, understood: bool
):
    monkeypatch.setattr("cbir.search.terms.read_piped", lambda path: Piped(path, b""))
    refusal = None if understood else lambda: "no words here"

    def read(typed: list[str]) -> list[Query]:
        return parse(typed, text=text, refusal=refusal, datasets=["digits"])

    try:
        queries = read(given_arguments)
    except QueryError:
        return
    assert [read(spell(query)) for query in queries] == [[query] for query in queries]


weights = st.one_of(st.just(2.0), st.floats(min_value=1e-300, max_value=1e300))


@given(st.lists(st.tuples(weights, st.booleans(), st.sampled_from(FILES)), min_size=2, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_are_spelled_exactly(here: Path, drawn: list[tuple[float, bool, str]]):
    terms = [(-weight if minus and place else weight, name) for place, (weight, minus, name) in enumerate(drawn)]
    assert parse(spell(sums(*terms))) == [sums(*terms)]
