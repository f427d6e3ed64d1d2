"""What stands beside a picture in a shard: WebDataset's files of the same name, and the columns of a table.

In: members, one after the other. Out: pictures, each with what its neighbours
say about it, as fields of a payload.
Format: webdataset, "The WebDataset Format Specification", 2023; a key is a
member's path up to the first dot of its name.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cbir.collection.fields import FIELDS
from cbir.ingest.sources.members import Member

#: Endings of what says something, and the most bytes of it.
_ENDINGS, _MOST_BYTES = ("json", "txt", "cls"), 1 << 20
#: Members of one key at the most, characters of a text, fields of a picture.
_MOST_TOGETHER, _MOST_TEXT, _MOST_FIELDS = 64, 4_000, 100
#: Fields that no shard sets; and what img2dataset notes about its own work.
_OURS = frozenset(field.name for field in FIELDS) - {"label"}
#: Of these, what img2dataset finds out about a picture as cbir does: to leave that out loses nothing.
_SAME = frozenset(("width", "height", "sha256"))
_OF_TOOLS = frozenset(("key", "__key__", "status", "error_message", "exif"))
_ODD = re.compile(r"[^\w\- ]+")
_MOST_INT = 1 << 63


def key_of(name: str) -> tuple[str, str]:
    """Return the key and the ending of a member's name.

    Examples
    --------
    >>> key_of("a.b/0001.left.jpg")
    ('a.b/0001', 'left.jpg')
    """
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def is_beside(name: str) -> bool:
    """Tell whether a member, by its name, may say something about a picture."""
    return key_of(name)[1] in _ENDINGS


def grouped(members: Iterable[Member], beside: bool) -> Iterator[tuple[Member, Sequence[tuple[str, bytes]]]]:
    """Yield the members, each with the endings and contents of what stands beside it.

    Parameters
    ----------
    members : iterable of Member
        `head` of what `is_beside` is its content.
    beside : bool
        Whether the archive is of that form; if not, nothing is beside anything.
    """
    key = ""
    together: list[Member] = []
    for member in members:
        if not beside:
            yield member, ()
            continue
        now = key_of(member.name)[0]
        if together and (now != key or len(together) >= _MOST_TOGETHER):
            yield from _pictures(together)
            together = []
        key = now
        together.append(member)
    yield from _pictures(together)


def _pictures(together: Sequence[Member]) -> Iterator[tuple[Member, Sequence[tuple[str, bytes]]]]:
    """Yield members of the same key; those that only say something about the others are not there themselves."""
    pictures = [member for member in together if not _says_something(member)]
    if not pictures:
        yield from ((member, ()) for member in together)
        return
    said = [(key_of(member.name)[1], member.head) for member in together if _says_something(member)]
    yield from ((member, said) for member in pictures)


def _says_something(member: Member) -> bool:
    return is_beside(member.name) and not member.left_out


def beside_of(said: Iterable[tuple[str, bytes]], refused: set[str]) -> dict[str, Any]:
    """Return the fields that the files beside a picture give; what cannot be read gives none.

    A JSON object's numbers and texts are fields, a text is the `caption`, a class is the `label`. `refused` as of
    `kept_columns`.
    """
    fields: dict[str, Any] = {}
    for ending, content in said:
        if len(content) > _MOST_BYTES:
            continue
        text = content.decode("utf-8", "replace").strip()
        if ending == "txt" and text:
            fields.setdefault("caption", text[:_MOST_TEXT])
        elif ending == "cls" and text:
            fields["label"] = int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else text[:_MOST_TEXT]
        elif ending == "json":
            try:
                read = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(read, dict):
                fields.update(kept_columns(read, refused))
    return fields


def kept_columns(columns: Mapping[str, Any], refused: set[str]) -> dict[str, Any]:
    """Return those columns that a payload can hold, under names that filters can have.

    Numbers, truth values and texts, the latter cut at 4,000 characters; a `label` is a whole number or a text. Names
    that cbir has for fields of its own are added to `refused`, as somebody may miss them.
    """
    kept: dict[str, Any] = {}
    for given, value in columns.items():
        name = _ODD.sub("_", str(given)).strip()
        if name in _OURS:
            if name not in _SAME and value not in (None, ""):
                refused.add(name)
            continue
        if name in _OF_TOOLS or not name or len(kept) >= _MOST_FIELDS:
            continue
        if isinstance(value, str) and value:
            kept[name] = value[:_MOST_TEXT].encode("utf-8", "replace").decode()
        elif (
            (isinstance(value, bool) and name != "label")
            or (isinstance(value, int) and not isinstance(value, bool) and -_MOST_INT <= value < _MOST_INT)
            or (isinstance(value, float) and math.isfinite(value) and name != "label")
        ):
            kept[name] = value
    return kept
