"""Names: what can be one on every system, which are the same, and one made of any text."""

import random
import re
import unicodedata

import pytest

from cbir.core.names import folded, is_part_of_path, is_valid_name, made_name, normalized, same_name

IN_MANY_SCRIPTS = (
    *("हिन्दी", "தமிழ் படங்கள்", "ภาพถ่ายที่ทะเล", "ბათუმი", "写真-2024", "사진", "صور العائلة", "می‌خواهم", "תמונות"),
    *(
        "é",
        "e\u0301",
        "Việt Nam",
        "Vie\u0323\u0302t",
        "ക്\u200dഷ",
        "བོད་ཡིག",
        "col·lecció",
        "葛\U000e0100城",
        "Ελλάδα",
        "²",
    ),
)


@pytest.mark.parametrize("name", IN_MANY_SCRIPTS)
def test_names_of_many_scripts_are_names_and_stay_as_they_are(name: str):
    assert is_valid_name(name)
    assert is_valid_name(normalized(name))
    assert made_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a:b",
            "a*",
            "a?",
            "a\nb",
            "a\x00",
            "-a",
            "_a",
            " a",
            ".a",
            "a.",
            "a ",
            "a\u202eb",
        ),
        *("\u0301a", "a-\u0301", "\u200da", "caf\udce9", "🙂", "x" * 101, "ก" * 67, 7, None),
        *("con", "CON", "nul.txt", "Aux", "PRN", "com1", "COM9.tar", "lpt³", "con .txt"),
    ],
)
def test_what_is_no_name_everywhere_is_none(name: object):
    assert not is_valid_name(name)
    if isinstance(name, str):
        assert is_valid_name(made_name(name))


def test_names_of_devices_are_refused_only_where_they_are_the_whole_name():
    assert all(is_valid_name(name) for name in ("console", "auxiliary", "com", "com10", "null", "a.con", "lpt"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("digits", "Digits"),
        ("Café", "cafe\u0301"),
        ("STRASSE", "straße"),
        ("क\u093c", "\u0958"),
        ("ക്\u200dഷ", "ക്ഷ"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_case_and_unicode_form_do_not_make_another_name(one: str, other: str):
    assert folded(one) == folded(other)
    assert same_name(one, ["a", other, "z"]) == other
    assert same_name(one, [other, one]) == one


def test_other_names_are_others():
    assert same_name("digits", ["digit", "digits-2", "d\u0131gits", ""]) is None
    assert (
        len(set(map(folded, IN_MANY_SCRIPTS))) == len(IN_MANY_SCRIPTS) - 1
    )  # the same accent, put together in two ways


def test_a_name_is_made_of_any_text():
    generator = random.Random(0)
    characters = [
        "a",
        "B",
        "7",
        " ",
        "-",
        "_",
        ".",
        "'",
        "/",
        "é",
        "\u0301",
        "ก",
        "ิ",
        "न",
        "्",
        "\u200d",
        "\ufe0f",
        "🏖",
        "\udce9",
    ]
    for _ in range(3000):
        text = "".join(generator.choices(characters, k=generator.randrange(12))) * generator.choice([1, 1, 30])
        made = made_name(text)
        assert is_valid_name(made), (text, made)
        assert made_name(made) == made
        assert is_valid_name(made_name(text, room=40) + "-" * 39 + "x")
        if not unicodedata.normalize("NFC", text).isascii() or len(text) > 100:
            continue
        # What earlier versions made of it: a folder keeps its collection.
        assert made == re.sub(r"[^\w.\- ]+", "-", text).strip("-_. ") or made == "pictures"


def test_a_long_name_is_cut_behind_a_whole_letter():
    letter = "நி"
    assert set(made_name(letter * 100).replace(letter, "")) == set()
    assert made_name("Urlaub 🏖️ Strand") == "Urlaub - Strand"


def test_a_stored_name_of_an_older_version_leads_nowhere_else():
    assert all(map(is_part_of_path, ("con", "nul.1", "digits-2", "a" * 150)))
    assert not any(map(is_part_of_path, ("", "..", "../a", "a/b", "a\\b", "c:", "a\nb", None, 3, ".hidden", "/a")))
