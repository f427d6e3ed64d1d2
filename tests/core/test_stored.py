"""JSON as text: any name can be in it, and no terminal obeys it."""

import json
import math

import pytest

from cbir.core.stored import json_text, parse_object


@pytest.mark.parametrize(
    "name", ["写真", "caf\udce9", "\x1b[31m\n\x7f\x9b", "\u202egnp\u2028", "😀", "\ud83d", "\\u0041"]
)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_any_name_is_valid_json_and_comes_back(name: str, ascii_only: bool):
    text = json_text({name: [name]}, ascii_only=ascii_only)
    assert parse_object(text.encode()) == {name: [name]}
    assert text.isprintable()
    assert text.isascii() or not ascii_only


def test_letters_stay_as_they_are_where_they_can():
    assert json_text({"a": "写真 é"}) == '{"a": "写真 é"}'
    assert json_text("caf\udce9") == r'"caf\udce9"'


def test_numbers_that_json_does_not_have_are_null():
    document = {"a": [1.5, math.nan, (math.inf,)], "b": {"c": -math.inf}, "d": 2}
    assert json.loads(json_text(document), parse_constant=pytest.fail) == {
        "a": [1.5, None, [None]],
        "b": {"c": None},
        "d": 2,
    }
