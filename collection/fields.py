"""The fields of a point's payload that cbir writes, declared once.

Both engines make their payload indexes from this table, and a test holds
docs/qdrant.md against it. A field that searches can filter by is a row here and
nothing else: give it an `index`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cbir.collection.point import Payload

#: The types of Qdrant's indexes.
FieldType = Literal["integer", "keyword"]


@dataclass(frozen=True)
class Field:
    """One field of the payload.

    Attributes
    ----------
    name : str
    types : tuple
        What a value may be; the first value of a collection decides for all of its points.
    about : str
        One line for people.
    index : {'', 'served', 'everywhere'}
        `everywhere`: both engines index the field as soon as a point has it. `served`: only a server does,
        from the start, so that other tools can filter by it; the index costs an embedded collection a fifth
        of its loading time. Empty: none.
    """

    name: str
    types: tuple[FieldType, ...]
    about: str
    index: Literal["", "served", "everywhere"] = ""


FIELDS = (
    Field(
        "label",
        ("integer", "keyword"),
        "what the image shows: a class number, or the name of the class folder; absent if unknown",
        index="everywhere",
    ),
    Field(
        "uri",
        ("keyword",),
        "where the image is: `mnist:train/7` in a dataset, the path relative to the folder otherwise",
        index="served",
    ),
    Field("source", ("keyword",), "name of the dataset, or of the folder", index="served"),
    Field("code", ("integer",), "the short binary code, where the encoder has one", index="everywhere"),
    Field("index", ("integer",), "datasets: position in the dataset"),
    Field("width", ("integer",), "datasets: width in pixels"),
    Field("height", ("integer",), "datasets: height in pixels"),
    Field("sha256", ("keyword",), "folders: SHA-256 of the file's content, in hexadecimal digits"),
    Field("bytes", ("integer",), "folders: size of the file in bytes"),
    Field("modified", ("integer",), "folders: when the file was last changed, in nanoseconds since 1970"),
    Field("inode", ("integer",), "folders: number of the file on its disk"),
    Field("changed", ("integer",), "folders: when the file or its name was last changed, in nanoseconds since 1970"),
)


def indexes_from_start() -> Mapping[str, FieldType]:
    """Return the fields that a server indexes when it makes a collection, with their types."""
    return {field.name: field.types[0] for field in FIELDS if field.index == "served"}


def indexes_needed(payloads: Iterable[Payload]) -> Mapping[str, FieldType]:
    """Return the fields to index because one of these payloads has them, with the type of the first value."""
    found: dict[str, FieldType] = {}
    wanted = {field.name for field in FIELDS if field.index == "everywhere"}
    for payload in payloads:
        for name in [name for name in wanted if payload.get(name) is not None]:
            found[name] = "integer" if isinstance(payload[name], int) else "keyword"
            wanted.remove(name)
        if not wanted:
            break
    return found
