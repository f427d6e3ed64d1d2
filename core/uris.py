"""Names of files as text that every program can hold: relative paths as uris and back, and names as they are printed.

A uri is a path relative to its root, with `/`. Payloads and JSON hold nothing
but valid text, which a name of a file need not be: such a path is written `%:`
and then with its odd bytes, and every `%`, as `%FF`. A path whose first part
holds a colon, or which would be taken for an absolute one, has `./` before it,
as in URLs, so that every uri stands for exactly one path.
"""

import os
import re
import unicodedata
from urllib.parse import unquote_to_bytes

#: Before a path that is not valid text.
_ESCAPED = "%:"
_ABSOLUTE = re.compile(r"/|\\\\|[A-Za-z]:[/\\]")
_ODD_BYTE = re.compile("[%\udc80-\udcff]")
#: Marks and controls that turn the direction of writing, so that a name is not shown as it is.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NOT_SHOWN = frozenset(("Cc", "Cs", "Zl", "Zp"))
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def is_absolute(uri: str) -> bool:
    """Tell whether a uri is an absolute path, of this or of another system."""
    return _ABSOLUTE.match(uri) is not None


def uri_of(relative: str) -> str:
    r"""Return the uri of a file.

    Parameters
    ----------
    relative : str
        The file's path relative to its root, with `/`, as `os` gives it: bytes that are not UTF-8 are surrogates.

    Returns
    -------
    str
        Valid text. `path_of` returns the path again.

    Examples
    --------
    >>> uri_of("cats/1.png"), uri_of("12:30.png"), uri_of("caf\udce9/50%.png")
    ('cats/1.png', './12:30.png', '%:caf%E9/50%25.png')
    """
    try:
        relative.encode()
    except UnicodeEncodeError:
        return _ESCAPED + _escaped(relative)
    return f"./{relative}" if ":" in relative.partition("/")[0] or is_absolute(relative) else relative


def path_of(uri: str) -> str:
    """Return the relative path that a uri stands for; see `uri_of`.

    Parameters
    ----------
    uri : str

    Returns
    -------
    str
        With `/`, as `os` takes it. An absolute path, which is the uri of a file in collections of format 1, is returned
        as it is.
    """
    if uri.startswith(_ESCAPED):
        return os.fsdecode(unquote_to_bytes(uri.removeprefix(_ESCAPED)))
    return uri.removeprefix("./")


def folder_and_name(uri: str) -> tuple[str, str]:
    """Return the folder and the last part of a uri, without what stands before an odd path.

    Examples
    --------
    >>> folder_and_name("2024/May/1.png"), folder_and_name("./12:30.png")
    (('2024/May', '1.png'), ('', '12:30.png'))
    """
    folder, _, name = uri.removeprefix("./").removeprefix(_ESCAPED).rpartition("/")
    return folder, name


def shown(text: str) -> str:
    r"""Return a name as it may be printed: what would move the cursor, or turn the writing round, is escaped.

    Parameters
    ----------
    text : str
        A name, a path, a uri, or a message with one.

    Returns
    -------
    str
        Valid text in one line.

    Examples
    --------
    >>> shown("a\nb\x1b[31m.png"), shown("caf\udce9.png")
    ('a\\nb\\x1b[31m.png', 'caf\\xe9.png')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if unicodedata.category(character) not in _NOT_SHOWN and character not in _TURNING:
        return character
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _escaped(path: str) -> str:
    """Return a path that is not valid text with its odd bytes, and every `%`, as `%FF`."""
    try:
        content = os.fsencode(path)
    except UnicodeEncodeError:  # no path of this system
        content = path.encode("utf-8", "surrogatepass")
    text = content.decode("utf-8", "surrogateescape")
    return _ODD_BYTE.sub(lambda odd: f"%{ord(odd[0]) & 0xFF:02X}", text)
