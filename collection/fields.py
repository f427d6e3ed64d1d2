"""The fields of a point's payload that cbir writes, declared once.

Both engines make their payload indexes from this table, `--where` reads values
by it, and a test holds docs/qdrant.md against it. A field that searches filter
by at full speed is a row here and nothing else: give it an `index`. Fields that
are no row, such as the columns of a labels file, can be filtered by as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cbir.collection.point import Payload

#: The types of values. All but the last have an index of this name in Qdrant.
FieldType = Literal["integer", "float", "keyword", "datetime", "geo", "bool", "list"]


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
    index : {'', 'start', 'served', 'everywhere'}
        `everywhere`: both engines index the field as soon as a point has it; `served`: only a server does. `start`: a
        server does so before the first point. Empty: none. An embedded collection indexes any field when a filter
        first names it: that takes a second for 100,000 points, as much as a search without the index, while an index
        that is there from the start makes loading them a tenth slower.
    unit : {'', 'bytes', 'nanoseconds'}
        Of a number: `--where` takes `10MB` of the former, and dates for the latter, which are since 1970 in UTC.
    clock : {'', 'camera', 'local'}
        Of a time: how `--where` reads a date without a time zone. A camera writes what its clock shows, which is kept
        as if it were UTC; other times are those of this machine's time zone.
    path : bool
        Whether a text's parts are separated by `/`, which `*` in a pattern does not match.
    """

    name: str
    types: tuple[FieldType, ...]
    about: str
    index: Literal["", "start", "served", "everywhere"] = ""
    unit: Literal["", "bytes", "nanoseconds"] = ""
    clock: Literal["", "camera", "local"] = ""
    path: bool = False


#: Where a picture is in its shard: what the reader of such archives finds it by.
MEMBER = "member"

FIELDS = (
    Field(
        "label",
        ("integer", "keyword"),
        "what the image shows: a class number, or a name; absent if unknown",
        index="everywhere",
    ),
    Field(
        "uri",
        ("keyword",),
        "where the image is: `mnist:train/7` in a dataset, the path relative to the folder otherwise",
        index="start",
        path=True,
    ),
    Field(
        "source",
        ("keyword",),
        "name of the dataset, the folder or the archive; `files`, `addresses`: listed one by one; `added`: by HTTP",
        index="start",
    ),
    Field("code", ("integer",), "the short binary code, where the encoder has one", index="everywhere"),
    Field("index", ("integer",), "datasets: position in the dataset"),
    Field("width", ("integer",), "width in pixels, as the picture is seen", index="served"),
    Field("height", ("integer",), "height in pixels, as the picture is seen", index="served"),
    Field("folder", ("keyword",), "files: the uri's folder, empty at the root", index="served", path=True),
    Field("name", ("keyword",), "files: the last part of the uri", index="served"),
    Field("format", ("keyword",), "files: `JPEG`, `PNG`, ...; `RAW` of a camera", index="served"),
    Field("bytes", ("integer",), "files: size in bytes", index="served", unit="bytes"),
    Field(
        "modified",
        ("integer",),
        "files: when the content was last changed, in nanoseconds since 1970",
        index="served",
        unit="nanoseconds",
        clock="local",
    ),
    Field(
        "changed",
        ("integer",),
        "files: when the content or the permissions were last changed, in nanoseconds since 1970",
        unit="nanoseconds",
        clock="local",
    ),
    Field("inode", ("integer",), "files: the file system's number of the file; in a zip: CRC-32 of the content"),
    Field(
        MEMBER, ("list",), "shards in object storage: offset (tar), or number of the row, of the picture in its shard"
    ),
    Field("sha256", ("keyword",), "files: SHA-256 of the content, in hexadecimal digits", index="served"),
    Field(
        "taken_at",
        ("datetime",),
        "when the picture was taken, by the camera's clock, written as if in UTC",
        index="served",
        clock="camera",
    ),
    Field("camera", ("keyword",), "the camera's model", index="served"),
    Field("lens", ("keyword",), "the lens", index="served"),
    Field("gps", ("geo",), 'where the picture was taken: `{"lon": 2.35, "lat": 48.85}`', index="served"),
    Field("ingested_at", ("datetime",), "when cbir stored the picture, in UTC", index="served", clock="local"),
    Field("warning", ("keyword",), "what was odd when the picture was read; absent otherwise", index="served"),
    Field(
        "border_brightness",
        ("float",),
        "how light the picture's border is, as the encoder sees it: 0 is black, 1 is white",
    ),
    Field(
        "copies",
        ("list",),
        "other files of the same content: source, uri, modified, changed, inode of each; absent if there are none",
    ),
)

BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}

#: The fields that say where a picture is: filters on them look at the places of copies as well.
PLACE = ("source", "uri", "folder", "name")
#: What tells these of copies; both engines index them as soon as a point has copies.
COPIES = ("copies[].uri", "copies[].source")


def is_path(name: str) -> bool:
    """Tell whether a field's texts have parts that are separated by `/`."""
    return name in BY_NAME and BY_NAME[name].path


def indexes_from_start() -> Mapping[str, FieldType]:
    """Return the fields that a server indexes when it makes a collection, with their types."""
    return {field.name: field.types[0] for field in FIELDS if field.index == "start"}


def indexes_needed(payloads: Iterable[Payload], *, served: bool = False) -> Mapping[str, FieldType]:
    """Return the fields to index because one of these payloads has them, with the type of the first value.

    Parameters
    ----------
    payloads : iterable of dict
    served : bool
        Whether a server is to index them: it indexes more than an embedded collection.
    """
    found: dict[str, FieldType] = {}
    kinds = ("everywhere", "served") if served else ("everywhere",)
    wanted = {field.name: field for field in FIELDS if field.index in kinds}
    copies = True
    for payload in payloads:
        for name in [name for name in wanted if payload.get(name) is not None]:
            found[name] = _type(wanted.pop(name), payload[name])
        if copies and payload.get("copies"):
            found |= dict.fromkeys(COPIES, "keyword")
            copies = False
        if not wanted and not copies:
            break
    return found


def _type(field: Field, value: Any) -> FieldType:
    """Return the type to index a field as, of which this is the first value."""
    if len(field.types) == 1:
        return field.types[0]
    return "integer" if isinstance(value, int) else "keyword"
