"""Where the content of a point is: in one file, or in several that are exact copies of each other.

In: a payload. Out: its places, the first one from the payload's own fields, the
others from the field `copies`; and payloads with other places. Nothing else in
the project reads or writes these fields one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cbir.collection.point import Payload, text_of, whole_number_of
from cbir.core.uris import folder_and_name, is_absolute

#: Fields of the first place. `bytes` stands once: copies have as many.
PLACE = ("source", "uri", "folder", "name", "bytes", "modified", "inode", "changed")
#: The field of all places but the first.
COPIES = "copies"
_STAMP = ("bytes", "modified", "inode", "changed")
#: The values of these fields.
Stamp = tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class Place:
    """One place of a content.

    Attributes
    ----------
    source : str
        Name of a dataset, or of a root.
    uri : str
        Path relative to the root, or `dataset:part/index`.
    stamp : tuple of int or None
        Size, time of change, inode, and time of the inode's change of a file, both times in nanoseconds (see
        `cbir.ingest.sources.source.STAMP`); None where one is not known.
    is_file : bool
        Whether it has a folder and a name; an image of a dataset has neither.
    """

    source: str
    uri: str
    stamp: Stamp = (None, None, None, None)
    is_file: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """Source and uri; the uri alone if it is an absolute path, as in collections of format 1."""
        return "" if is_absolute(self.uri) else self.source, self.uri

    def fields(self) -> Payload:
        """Return the fields of a payload whose first place this is."""
        parts = {}
        if self.is_file:
            folder, name = folder_and_name(self.uri)
            parts = {"folder": folder, "name": name}
        return {"source": self.source, "uri": self.uri, **parts, **self._known(_STAMP)}

    def copy(self) -> Payload:
        """Return an element of `copies`."""
        return {"source": self.source, "uri": self.uri, **self._known(_STAMP[1:])}

    def _known(self, names: Sequence[str]) -> dict[str, int]:
        known = dict(zip(_STAMP, self.stamp, strict=True))
        return {name: value for name in names if (value := known[name]) is not None}


def places_of(payload: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a stored point, the first one first."""
    is_file = "sha256" in payload or "bytes" in payload
    size = whole_number_of(payload, "bytes")
    yield _place(payload, size, is_file=is_file)
    copies = payload.get(COPIES)
    if copies is None:
        return
    for copy in copies if isinstance(copies, list) else ():
        if isinstance(copy, dict):  # other tools write payloads too
            yield _place(copy, size)


def stored_places(payload: Payload) -> Iterator[Payload]:
    """Yield the same places as they are stored: the payload itself, which has the first one, and its copies."""
    yield payload
    copies = payload.get(COPIES)
    # Other tools write payloads too.
    yield from (copy for copy in (copies if isinstance(copies, list) else ()) if isinstance(copy, dict))


def _place(fields: Mapping[str, Any], size: int | None, *, is_file: bool = True) -> Place:
    modified, inode, changed = (whole_number_of(fields, name) for name in _STAMP[1:])
    stamp = (size, modified, inode, changed)
    return Place(text_of(fields, "source"), text_of(fields, "uri"), stamp, is_file)


def with_places(payload: Mapping[str, Any], places: Sequence[Place]) -> Payload:
    """Return a payload with other places, at least one; all its other fields stay."""
    rest = {name: value for name, value in payload.items() if name not in PLACE and name != COPIES}
    copies = {COPIES: [place.copy() for place in places[1:]]} if len(places) > 1 else {}
    return {**rest, **places[0].fields(), **copies}
