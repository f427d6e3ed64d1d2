"""Names of collections and models, which become folders: what can be one, which are the same, one for any folder.

A name is the same on every system: in NFC, in letters that every file system takes, and none of the names that Windows
keeps for devices. Two names that differ only by case, or in how a letter is put together, are one name: many file
systems could not tell them apart.
"""

import unicodedata
from collections.abc import Iterable

_LONGEST, _MOST_BYTES = 100, 200
#: Of a name that is made of a longer one: room stays for what is put behind it.
_CUT, _CUT_BYTES = 80, 160

_SELECTORS = (*range(0x180B, 0x180E), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
#: Joiners, and selectors of variants: they belong to the letter before them and are not seen by themselves.
_UNSEEN = frozenset("\u200c\u200d").union(map(chr, _SELECTORS))
#: What stands within words of Catalan, Hebrew, Armenian, Tibetan and Japanese, besides letters (Unicode, UAX 31).
_WITHIN = frozenset("\u00b7\u058a\u05f4\u0f0b\u2010\u2027\u30a0\u30fb")
_BETWEEN = frozenset("-_. ")

#: Windows opens a device instead of a file of such a name, whatever stands behind the first dot.
_DEVICES = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"))
)


def is_valid_name(name: object) -> bool:
    """Tell whether a name can be given to a collection or a model: it fits a folder on any system, and a server."""
    return (
        isinstance(name, str)
        and name[:1].isalnum()
        and _without_others(name) == name
        and not name.endswith((" ", "."))
        and _fits(normalized(name), _LONGEST, _MOST_BYTES)
        and not _is_device(name)
    )


def is_part_of_path(name: object) -> bool:
    """Tell whether a name that is stored leads nowhere else as a part of a path: an older cbir allowed other names."""
    return isinstance(name, str) and name[:1].isalnum() and name.isprintable() and not set(name) & set('/\\:*?"<>|')


def normalized(name: str) -> str:
    """Return a name in the form in which it is stored, NFC."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return what is equal of names that are the same.

    Examples
    --------
    >>> folded("Digits") == folded("digits"), folded("Cafe\u0301") == folded("CAFÉ")
    (True, True)
    """
    if name.isascii():
        return name.casefold()
    seen = "".join(character for character in name if character not in _UNSEEN)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", seen).casefold())


def same_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some names that is the same as a name: itself, if it is there; None if there is none."""
    key = folded(name)
    same = sorted(each for each in names if folded(each) == key)
    return name if name in same else next(iter(same), None)


def made_name(text: str, otherwise: str = "pictures", *, room: int = 0) -> str:
    """Return a valid name made of the name of a folder or a file.

    Parameters
    ----------
    text : str
    otherwise : str
        The name where nothing of `text` can be in one.
    room : int
        Characters that will be put behind it.

    Examples
    --------
    >>> made_name("Anna's Fotos (2)"), made_name("हिन्दी"), made_name("???"), made_name("con")
    ('Anna-s Fotos -2', 'हिन्दी', 'pictures', 'con-pictures')
    """
    name = _trimmed(_without_others(normalized(text), "-"))
    if not _fits(name, _LONGEST - room, _MOST_BYTES - room):
        name = _trimmed(_cut(name, room))
    if _is_device(name):
        stem, dot, rest = name.partition(".")
        name = f"{stem.rstrip()}-{otherwise}{dot}{rest}"
    return name or otherwise


def _without_others(text: str, instead: str = "") -> str:
    """Return a text with each run of characters that no name has replaced."""
    kept: list[str] = []
    letter = other = False
    for character in text:
        # Marks belong to the letter before them, and go with what cannot stay.
        belongs = _belongs(character)
        if character.isalnum() or character in _BETWEEN or (belongs and letter):
            kept.append(character)
            letter, other = character not in _BETWEEN, False
        elif not other:
            kept.append(instead)
            letter, other = False, True
    return "".join(kept)


def _belongs(character: str) -> bool:
    """Tell whether a character stands in a name only behind a letter."""
    return unicodedata.category(character)[0] == "M" or character in _UNSEEN or character in _WITHIN


def _trimmed(name: str) -> str:
    """Return a name from its first letter or digit on, without what cannot be its end."""
    start = next((at for at, character in enumerate(name) if character.isalnum()), len(name))
    return name[start:].rstrip("-_. ")


def _cut(name: str, room: int) -> str:
    """Return the beginning of a name that is too long, up to the end of a letter with its marks."""
    end = min(len(name), _CUT, _LONGEST - room)
    while end and not _fits(name[:end], _CUT, min(_CUT_BYTES, _MOST_BYTES - room)):
        end -= 1
    while end and _belongs(name[end]):
        end -= 1
    return name[:end]


def _fits(name: str, longest: int, most_bytes: int) -> bool:
    return len(name) <= longest and len(name.encode("utf-8", "surrogatepass")) <= most_bytes


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").upper() in _DEVICES
