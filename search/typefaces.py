"""Which font has which letters: DejaVu Sans, which lies beside this module, and those of the system for what it lacks.

In: a text. Out: its parts, each with a font that has all of its letters, from left to right as they are drawn. The
system's fonts are looked at when a text first needs one. Chinese, Japanese and Korean share letters that are drawn
differently: kana make a text Japanese, hangul Korean.
"""

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from PIL import ImageFont, features


class Face(NamedTuple):
    """A font: a file, and its place among the fonts in it."""

    path: str
    place: int = 0


OWN = Face(str(Path(__file__).with_name("fonts") / "DejaVuSans.ttf"))
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
#: Fonts in one file that are looked at: those of Noto Sans CJK are ten.
_IN_FILE = 16
#: Of this many pixels are the letters that tell whether a font has one.
_TRIED = 13
#: A letter that no font has: what is drawn for it is what is drawn for all that a font lacks.
_NOBODYS = "\U0010fffe"
_UPRIGHT = frozenset(("Regular", "Book", "Normal", "Roman", "Medium"))
_NOT_PLAIN = ("Unifont", "Serif", "Mono", "Mincho", "Ming", "Song", "Nastaliq", "Slanted", "Looped")
#: Fonts that have a picture for every letter, to say that there is none, or nothing at all.
_EMPTY = ("LastResort", "Last Resort", "Adobe Blank", "AdobeBlank")
#: Join letters, or choose between two forms of one; none is drawn.
_JOINERS = frozenset("\u200b\u200c\u200d\u2060\ufe0e\ufe0f")


@lru_cache(maxsize=64)
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """Return a font in a size; letters are shaped where Pillow can."""
    return ImageFont.truetype(face.path, size, index=face.place)


def pieces(text: str) -> list[tuple[Face, str]]:
    """Divide a text between fonts.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of (Face, str)
        From left to right. What no font has is DejaVu Sans's, which draws boxes for it.
    """
    if covers(OWN, text):
        return [(OWN, text)] if text else []
    faces = _faces_of(text, _language(text))
    found: list[tuple[Face, str]] = []
    for word, spaces in _words(text):
        found += _of_word(word, faces)
        if spaces:
            found.append((found[-1][0], spaces))
    return _left_to_right(_joined(found))


def clusters(text: str) -> list[str]:
    """Divide a text where it may be cut: marks stay with their letter, and joined letters together."""
    found: list[str] = []
    for each in text:
        if found and (_follows(each) or found[-1][-1] == "\u200d" or unicodedata.combining(found[-1][-1]) == _VIRAMA):
            found[-1] += each
        else:
            found.append(each)
    return found


#: The combining class of a sign that joins two consonants of Indic scripts.
_VIRAMA = 9


def unshown(texts: Iterable[str]) -> Iterator[str]:
    """Yield what keeps letters of some texts from being drawn well, in a sentence each, and what to install."""
    letters: set[str] = set()
    lacking: dict[str, None] = {}
    for text in texts:
        letters.update(text)
        found = _faces_of(text, _language(text))
        lacking |= dict.fromkeys(each for each, face in found.items() if face is None and _script(each))
    if lacking:
        fonts = dict(map(_wanted, lacking))
        packages = ", ".join(dict.fromkeys(fonts.values()))
        names = ", ".join(fonts)
        yield f"letters that no font here has are drawn as boxes; install {names} (Debian, Ubuntu: {packages})"
    if not features.check("raqm") and any(map(_is_shaped, letters)):
        yield "letters are drawn one by one, not joined and not from right to left: Pillow finds no FriBiDi; install it"


def covers(face: Face, text: str) -> bool:
    """Tell whether a font has all letters of a text."""
    return all(_has(face, each) for each in text if _drawn(each))


def _drawn(character: str) -> bool:
    return not (character.isspace() or character in _JOINERS or unicodedata.category(character) in ("Cf", "Cc"))


@lru_cache(maxsize=65536)
def _has(face: Face, character: str) -> bool:
    return _mask(_plain(face), character) != _absent(face)


@cache
def _absent(face: Face) -> tuple[tuple[int, int], bytes]:
    return _mask(_plain(face), _NOBODYS)


@lru_cache(maxsize=16)
def _plain(face: Face) -> ImageFont.FreeTypeFont:
    """Return a font whose letters are drawn one by one; few are kept open, as some systems allow 256 files."""
    return ImageFont.truetype(face.path, _TRIED, index=face.place, layout_engine=ImageFont.Layout.BASIC)


def _mask(plain: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask, _ = plain.getmask2(character, mode="1")
    return mask.size, bytes(mask)


#: Letters that were looked for, by the language of their text: the first font that has each; None if none has it.
_KNOWN: dict[tuple[str, str], Face | None] = {}


def _faces_of(text: str, language: str) -> dict[str, Face | None]:
    """Return the first font that has each letter of a text; None for those that none has."""
    letters = [each for each in dict.fromkeys(text) if _drawn(each)]
    unknown = [each for each in letters if (each, language) not in _KNOWN]
    for face in _own_and_others(language):
        if not unknown:
            break
        _KNOWN.update({(each, language): face for each in unknown if _has(face, each)})
        unknown = [each for each in unknown if (each, language) not in _KNOWN]
    _KNOWN.update({(each, language): None for each in unknown})
    return {each: _KNOWN[each, language] for each in letters}


def _own_and_others(language: str) -> Iterator[Face]:
    yield OWN
    yield from _faces(language)


def _of_word(word: str, faces: Mapping[str, Face | None]) -> list[tuple[Face, str]]:
    """Return a word in one font, if one has all of it, or in several."""
    for face in dict.fromkeys((OWN, *(face for each in word if (face := faces.get(each)) is not None))):
        if covers(face, word):
            return [(face, word)]
    return [(faces.get(cluster[0]) or OWN, cluster) for cluster in clusters(word)]


@cache
def _faces(language: str) -> list[Face]:
    """Return the system's fonts, the plainest first, before these those that are made for a language."""
    found = []
    for path in _files():
        for index in range(_IN_FILE if path.suffix.lower() in (".ttc", ".otc") else 1):
            try:
                family, style = ImageFont.truetype(str(path), _TRIED, index=index).getname()
            except OSError:  # damaged, or of another kind: bitmaps of one size, say; or there are no more
                break
            if any(word in (family or "") for word in _EMPTY):
                break
            plain = not any(word in (family or "") for word in _NOT_PLAIN)
            rank = (style not in _UPRIGHT, not plain, not (family or "").endswith(f" {language}"), family or "", index)
            found.append((rank, Face(str(path), index)))
    return [face for _, face in sorted(found)]


def _files() -> list[Path]:
    return [
        path
        for folder in map(Path, dict.fromkeys(_folders()))
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]


def _folders() -> Iterator[str]:
    """Yield where this system has fonts."""
    home = os.path.expanduser("~")  # noqa: PTH111 - without a home it stays `~`, and is no error
    if sys.platform == "win32":
        yield os.path.join(os.environ.get("WINDIR", r"C:\Windows"), "Fonts")  # noqa: PTH118
        yield os.path.join(os.environ.get("LOCALAPPDATA", home), "Microsoft", "Windows", "Fonts")  # noqa: PTH118
    elif sys.platform == "darwin":
        yield from (f"{home}/Library/Fonts", "/Library/Fonts", "/System/Library/Fonts")
    else:
        yield from (f"{os.environ.get('XDG_DATA_HOME') or f'{home}/.local/share'}/fonts", f"{home}/.fonts")
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (f"{folder}/fonts" for folder in shared.split(":") if folder)


def _language(text: str) -> str:
    """Return how the families of fonts end that draw Han letters as a text wants them."""
    scripts = {_script(each) for each in text if each > "\u1100"}
    return "JP" if scripts & {"HIRAGANA", "KATAKANA"} else "KR" if "HANGUL" in scripts else "SC"


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Yield words, each with the spaces behind it."""
    parts = ["".join(part) for _, part in groupby(text, str.isspace)]
    if parts and parts[0].isspace():
        parts.insert(0, "")
    for at in range(0, len(parts), 2):
        yield parts[at], parts[at + 1] if at + 1 < len(parts) else ""


def _joined(faces: Iterable[tuple[Face, str]]) -> list[tuple[Face, str]]:
    return [(face, "".join(text for _, text in some)) for face, some in groupby(faces, key=lambda each: each[0])]


def _left_to_right(faces: list[tuple[Face, str]]) -> list[tuple[Face, str]]:
    """Order parts as they are drawn: those written from right to left follow each other so.

    A text is of the direction of its first letter that has one; digits and signs go with what is before them.
    """
    turned: list[tuple[bool, tuple[Face, str]]] = []
    for piece in faces:
        turned.append((_turned(piece[1], turned[-1][0] if turned else False), piece))
    runs = [(right, [piece for _, piece in run]) for right, run in groupby(turned, key=lambda each: each[0])]
    ordered = [run[::-1] if right else run for right, run in runs]
    if _turned("".join(text for _, text in faces), False):
        ordered.reverse()
    return [piece for run in ordered for piece in run]


def _turned(text: str, otherwise: bool) -> bool:
    for each in text:
        if (direction := unicodedata.bidirectional(each)) in ("L", "R", "AL"):
            return direction != "L"
    return otherwise


def _follows(character: str) -> bool:
    """Tell whether a character belongs to the one before it: a mark, a joiner, a colour of a hand."""
    is_colour = "\U0001f3fb" <= character <= "\U0001f3ff"
    return unicodedata.category(character)[0] == "M" or character in _JOINERS or is_colour


def _is_shaped(character: str) -> bool:
    """Tell whether letters of this script are joined, reordered, or written from right to left."""
    return unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.combining(character) == _VIRAMA


def _wanted(character: str) -> tuple[str, str]:
    """Return the name of a font that has a letter, and of Debian's package that has the font."""
    if character >= "\U00020000":
        return "Hanazono", "fonts-hanazono"
    if unicodedata.east_asian_width(character) in ("W", "F", "H") and unicodedata.category(character) != "So":
        return "Noto Sans CJK", "fonts-noto-cjk"
    if unicodedata.category(character)[0] in "LMN":
        return f"Noto Sans {_script(character).capitalize()}", "fonts-noto-core"
    return "Symbola", "fonts-symbola"
