"""A point: one stored image, which is an id, a vector and a payload; and what a search returns of it.

A point is a content: the id of a file's follows from the file's SHA-256, so that storing the same content again
replaces its point, whatever the file is called. An image of a dataset has no file, and its id follows from its uri.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cbir.core.uris import is_absolute

if TYPE_CHECKING:  # a search beside a server that has the encoder loaded needs no NumPy, whose import takes longer
    import numpy as np

#: Fields of a point, by name; `cbir.collection.fields` lists those that people may use.
Payload = dict[str, Any]

#: A field more, which no other tool needs: the point's checksum, see `cbir.collection.checksum`.
CHECKSUM = "_checksum"

_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

#: Letters of a UUID as engines write it, longer than any number.
_UUID_LENGTH = 36

#: What an image shows: a class number, or the name of a class.
Label = int | str


@dataclass(frozen=True)
class Hit:
    """One found point.

    Attributes
    ----------
    id : str
        Point id, a UUID.
    distance : float
        Euclidean distance (not squared) to the query's feature.
    label : int, str or None
    uri : str
        Where the image is, within its source.
    payload : dict
        Everything stored with the point.
    """

    id: str
    distance: float
    label: Label | None
    uri: str
    payload: Payload

    @classmethod
    def of(cls, point: Any) -> "Hit":
        """Make a hit of what either of Qdrant's clients calls a scored point."""
        payload = unsigned(point.payload)
        return cls(str(point.id), float(point.score), label_of(payload), text_of(payload, "uri"), payload)


@dataclass(frozen=True)
class Page:
    """Some points of a scroll: `ids` n strings, `vectors` (n, d) float32, `payloads` n dicts.

    With vectors, each point has its checksum in `checksums`: None if there is none (`cbir.collection.damage` compares).
    """

    ids: list[str]
    vectors: "np.ndarray"
    payloads: list[Payload] = field(repr=False)
    checksums: list[str | None] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, records: Sequence[Any], vectors: "np.ndarray") -> "Page":
        """Make a page of what either of Qdrant's clients calls records, and of their vectors."""
        payloads = [record.payload or {} for record in records]
        checksums = [payload.get(CHECKSUM) for payload in payloads]
        return cls([str(record.id) for record in records], vectors, [unsigned(each) for each in payloads], checksums)

    def only(self, rows: Sequence[int]) -> "Page":
        """Return some of the points."""
        return Page(
            [self.ids[row] for row in rows],
            self.vectors[list(rows)],
            [self.payloads[row] for row in rows],
            [self.checksums[row] for row in rows],
        )


def content_id(sha256: str) -> str:
    """Return the id of a file's point: the UUID version 5, in the URL namespace, of `sha256:` and the hash.

    Parameters
    ----------
    sha256 : str
        Of the file's content, 64 hexadecimal digits.

    Examples
    --------
    >>> content_id("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    '253e17a1-9e69-5be4-9366-ac08a9590b04'
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{sha256}"))


def point_id(source: str, uri: str) -> str:
    """Return the id of the point of a dataset's image, and of files in collections of format 1 and 2.

    It is the UUID version 5, in the URL namespace, of `SOURCE:uri`. A uri that begins with `SOURCE:`
    (`mnist:train/7`) or is an absolute path (collections of format 1) stands for itself. A folder's
    relative path whose first part holds a colon is therefore written with `./` before it, as in URLs.

    Parameters
    ----------
    source : str
        Name of a dataset, or of a folder.
    uri : str
        Payload `uri`: `mnist:train/7`, or a path relative to the folder, with `/`.

    Returns
    -------
    str

    Examples
    --------
    >>> point_id("photos", "cats/1.png") == point_id("photos", "photos:cats/1.png")
    True
    """
    own = uri.startswith(f"{source}:") or is_absolute(uri)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, uri if own else f"{source}:{uri}"))


def is_point_id(text: str) -> bool:
    """Return whether a text is of the form that the ids of points have, UUIDs; engines raise for what is not."""
    return _UUID.fullmatch(text) is not None


def raw_ids(ids: Sequence[str]) -> "np.ndarray":
    """Return ids as bytes, (n, 16) uint8: text takes nine times the memory. Another tool's may be whole numbers."""
    import numpy as np

    if all(len(each) == _UUID_LENGTH for each in ids):  # at once, as a million take seconds one by one
        content = bytes.fromhex("".join(ids).replace("-", ""))
    else:
        content = b"".join((uuid.UUID(int=int(each)) if each.isdecimal() else uuid.UUID(each)).bytes for each in ids)
    return np.frombuffer(content, np.uint8).reshape(-1, 16)


def ids_of(raw: "np.ndarray") -> list[str]:
    """Return what `raw_ids` was made of, from (n, 16) uint8; a number of 64 bits is no UUID that anybody makes."""
    made = (uuid.UUID(bytes=row.tobytes()) for row in raw)
    return [str(each) if each.int >> 64 else str(each.int) for each in made]


def label_of(payload: Mapping[str, Any]) -> Label | None:
    """Return a payload's label; None if it has none, or another tool's, which is neither a number nor a name."""
    label = payload.get("label")
    return label if isinstance(label, int | str) and not isinstance(label, bool) else None


def text_of(payload: Mapping[str, Any], field: str) -> str:
    """Return a field that is a text; empty if it is missing, or anything else that another tool wrote."""
    value = payload.get(field)
    return value if isinstance(value, str) else ""


def whole_number_of(payload: Mapping[str, Any], field: str) -> int | None:
    """Return a field that is a whole number of 64 bits; None if it is missing, or anything else."""
    value = payload.get(field)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and -(2**63) <= value < 2**63 else None  # type: ignore[operator]


def unsigned(payload: Payload | None) -> Payload:
    """Return a stored payload as it is handed out: without the checksum."""
    if payload is None or CHECKSUM not in payload:
        return payload or {}
    return {name: value for name, value in payload.items() if name != CHECKSUM}


def same_payload(stored: Payload | None, wanted: Payload) -> bool:
    """Tell whether a stored payload has the wanted one's values; fields that other tools added do not count."""
    if stored is None or ("label" in stored) != ("label" in wanted):
        return False
    return all(field in stored and stored[field] == value for field, value in wanted.items())
