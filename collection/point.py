"""A point: one stored image, which is an id, a vector and a payload; and what a search returns of it.

The id follows from the payload's `source` and `uri`, so that storing an image again replaces its point.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cbir.core.uris import is_absolute

#: Fields of a point, by name; `cbir.collection.fields` lists those that cbir writes.
Payload = dict[str, Any]

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
        payload = point.payload or {}
        return cls(str(point.id), float(point.score), payload.get("label"), payload.get("uri", ""), payload)


@dataclass(frozen=True)
class Page:
    """Some points of a scroll: `ids` n strings, `vectors` (n, d) float32, `payloads` n dicts."""

    ids: list[str]
    vectors: np.ndarray
    payloads: list[Payload] = field(repr=False)


def point_id(source: str, uri: str) -> str:
    """Return the id of an image's point: the same image of the same source always has the same id.

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


def same_payload(stored: Payload | None, wanted: Payload) -> bool:
    """Tell whether a stored payload has the wanted one's values; fields that other tools added do not count."""
    if stored is None or ("label" in stored) != ("label" in wanted):
        return False
    return all(field in stored and stored[field] == value for field, value in wanted.items())
