"""Which font has which letters: fonts made here, of boxes whose height tells one letter from another."""

import sys
from pathlib import Path

import pytest
from PIL import features

from cbir.core.errors import CbirWarning
from cbir.search.lettering import shortened, warn_of_missing, width, wrapped
from cbir.search.sheet import Cell, sheet
from cbir.search.typefaces import OWN, clusters, pieces, unshown
from tests.conftest import picture
from tests.fonts import font, forget

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="fonts are elsewhere there")


def test_what_dejavu_has_needs_no_other_font(fonts: Path):
    font(fonts / "a.ttf", "abж ")
    assert pieces("ab ж/1.png") == [(OWN, "ab ж/1.png")]
    assert pieces("") == []


def test_a_word_is_in_one_font_if_one_has_it_and_else_in_several(fonts: Path):
    chinese = font(fonts / "deeper" / "chinese.TTF", "写真a1")
    assert pieces("写真a1 x 真b真") == [
        (chinese, "写真a1 "),
        (OWN, "x "),
        (chinese, "真"),
        (OWN, "b"),
        (chinese, "真"),
    ]
    assert pieces(" 写") == [(OWN, " "), (chinese, "写")]
    assert width("写真") == 26


def test_letters_of_the_systems_fonts_are_drawn_and_no_boxes(fonts: Path):
    letters = "写真ไह한"
    font(fonts / "all.ttf", letters)
    assert len({sheet([[Cell(picture(), letter)]]).tobytes() for letter in letters}) == len(letters)


def test_the_plainest_font_comes_first_and_one_for_the_language_of_a_text_before_it(fonts: Path):
    letters = "写のネ한"
    made = {
        name: font(fonts / f"{number}.ttf", letters, family, style)
        for number, (name, family, style) in enumerate(
            [
                ("bold", "A Sans", "Bold"),
                ("serif", "A Serif", "Regular"),
                ("plain", "B Sans", "Regular"),
                ("japanese", "C Sans JP", "Regular"),
                ("korean", "C Sans KR", "Regular"),
                ("thin", "A Sans", "Thin"),
            ]
        )
    }
    for text, name in (("写", "plain"), ("写の", "japanese"), ("写ネ", "japanese"), ("写한", "korean")):
        assert pieces(text) == [(made[name], text)], text
    (fonts / "2.ttf").unlink()
    forget()
    assert pieces("写") == [(made["japanese"], "写")]


def test_damaged_fonts_and_other_files_are_passed_over(fonts: Path):
    whole = font(fonts / "z.ttf", "写")
    (fonts / "a.ttf").write_bytes(b"no font")
    font(fonts / "e.ttf", "写", ".LastResort")
    (fonts / "b.otf").write_bytes(Path(whole.path).read_bytes()[:300])
    (fonts / "c.ttc").mkdir()
    (fonts / "d.ttf").symlink_to(fonts / "gone.ttf")
    assert pieces("写") == [(whole, "写")]


def test_what_no_font_has_is_told_with_what_to_install(fonts: Path):
    assert list(unshown(["写真", "の", "हिन्दी", "ab\x1b\u200d"])) == [
        "letters that no font here has are drawn as boxes; install Noto Sans CJK, Noto Sans Devanagari "
        "(Debian, Ubuntu: fonts-noto-cjk, fonts-noto-core)"
    ]
    assert [sentence.partition("install ")[2] for text in "「한ｱ𠀀🫠க" for sentence in unshown([text])] == [
        "Noto Sans CJK (Debian, Ubuntu: fonts-noto-cjk)",
        "Noto Sans CJK (Debian, Ubuntu: fonts-noto-cjk)",
        "Noto Sans CJK (Debian, Ubuntu: fonts-noto-cjk)",
        "Hanazono (Debian, Ubuntu: fonts-hanazono)",
        "Symbola (Debian, Ubuntu: fonts-symbola)",
        "Noto Sans Tamil (Debian, Ubuntu: fonts-noto-core)",
    ]
    with pytest.warns(CbirWarning, match="install Noto Sans Thai") as warned:
        sheet([[Cell(picture(), "ไทย", name="ไ"), None]])
    assert len(warned) == 1
    font(fonts / "a.ttf", "写真の")
    forget()
    assert list(unshown(["写真", "の", "\ue000\U0010fffe"])) == []


def test_that_letters_cannot_be_joined_is_told(fonts: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    with pytest.warns(CbirWarning, match="FriBiDi"):
        warn_of_missing(["a", "صورة"])
    assert list(unshown(["a"])) == []


def test_parts_written_from_right_to_left_follow_each_other_so(fonts: Path):
    face = font(fonts / "a.ttf", "写真")
    assert [text for _, text in pieces("שלום 写 עברית")] == ["עברית", "写 ", "שלום "]
    assert pieces("a שלום写")[-1] == (face, "写")
    assert [text for _, text in pieces("写 שלום")] == ["写 ", "שלום"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("abc", ["a", "b", "c"]),
        ("e\u0301a", ["e\u0301", "a"]),
        ("नमस्ते", ["न", "म", "स्ते"]),
        ("น้ำ", ["น้", "ำ"]),
        ("👩‍👩‍👧x", ["👩‍👩‍👧", "x"]),
        ("👍🏽", ["👍🏽"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_texts_are_cut_between_letters_and_not_within(text: str, parts: list[str]):
    assert clusters(text) == parts


def test_what_is_too_wide_is_cut_between_letters():
    for room in range(20, 100):
        cut = shortened("e\u0301" * 50, room)
        assert width(cut) <= room
        assert not cut.removesuffix("…").endswith("e")
    assert shortened("ab\n\x1b[1m", 200) == r"ab\n\x1b[1m"


def test_lines_end_between_chinese_letters_and_not_before_marks_that_close(fonts: Path):
    font(fonts / "a.ttf", "一只狗在沙发上，「」")
    lines, fits = wrapped("一只狗在，「沙发」上", 4 * 13, 4)
    assert (lines, fits) == (["一只狗", "在，「沙", "发」上"], True)
    assert wrapped("abc def", 300, 4) == (["abc def"], True)


def test_a_word_wider_than_a_line_goes_on_in_the_next():
    lines, fits = wrapped("Donaudampfschifffahrt", 60, 4)
    assert not fits
    assert "".join(lines) == "Donaudampfschifffahrt"
    assert all(width(line) <= 60 for line in lines)
    lines, fits = wrapped("Donaudampfschifffahrt", 60, 2)
    assert lines[-1].endswith("…")
