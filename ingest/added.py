"""One picture that somebody hands over is stored as an ingest would store it: same id, same fields, same feature.

In: a picture's file and what an encoder made of it; an open collection, locked
for filling. Out: the point's id. A content that is stored already keeps its
feature, and takes the label and the fields that came with it this time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.interface import Collection
from cbir.collection.metadata import changed_now
from cbir.collection.place import places_of, with_places
from cbir.collection.point import Label, content_id
from cbir.ingest.described import fields_of, new_payload, place_of
from cbir.ingest.encode import Encoded
from cbir.ingest.read import Batch, Fresh
from cbir.ingest.smooth import smooth
from cbir.ingest.sources.listed import ListedSource
from cbir.ingest.sources.source import Item
from cbir.ingest.store import merged
from cbir.model.border import background
from cbir.model.codes import codes
from cbir.model.errors import ImageError

#: The source of pictures that have no file of their own.
SOURCE = "added"


@dataclass(frozen=True)
class Picture:
    """A picture that is handed over.

    Attributes
    ----------
    sha256 : str
        Of its file's content.
    details : Mapping
        Fields that were read from the file (`Details.payload`).
    pixels : ndarray of uint8, shape (h, w, c)
        Brought to the encoder's input.
    feature : ndarray of float32, shape (d,)
    label : int, str or None
    fields : Mapping
        More fields of the point.
    file : Path or None
        Where its file is, below one of the collection's roots; None: nowhere.
    """

    sha256: str
    details: Mapping[str, Any]
    pixels: np.ndarray
    feature: np.ndarray
    label: Label | None
    fields: Mapping[str, Any]
    file: Path | None = None


def add(collection: Collection, picture: Picture, code_bits: int | None) -> tuple[str, bool]:
    """Store a picture.

    Parameters
    ----------
    collection : Collection
    picture : Picture
    code_bits : int or None
        Of the encoder, where it has short codes.

    Returns
    -------
    str
        The point's id.
    bool
        Whether it is a new one.
    """
    item, identity = _item(collection, picture), content_id(picture.sha256)
    stored = collection.payloads([identity]).get(identity)
    if stored is not None:
        places = list(places_of(stored))
        if picture.file is not None and place_of(item).key not in [place.key for place in places]:
            places.append(place_of(item))
        collection.replace_payloads([identity], [with_places({**stored, **fields_of(item)}, places)])
        return identity, False
    light = background(picture.pixels[None])
    fresh = Fresh(item, picture.sha256, {**picture.details, "border_brightness": round(float(light[0]), 4)})
    encoded = Encoded(Batch([fresh], picture.pixels[None], {}, [], [], []), picture.feature[None], light)
    if collection.metadata.smooth:
        (encoded,) = smooth([encoded], collection, collection.metadata.smooth)
    payload = new_payload(item, picture.sha256, fresh.details)
    if code_bits is not None:
        payload["code"] = codes(picture.feature[None], code_bits)[0]
    collection.upsert([identity], encoded.features, [payload])
    metadata = changed_now(collection.metadata)
    collection.remember(
        replace(
            metadata,
            sources=tuple(dict.fromkeys((*metadata.sources, item.source))),
            background=merged(metadata.background, (float(light[0]), 0.0, 1)),
        )
    )
    return identity, True


def _item(collection: Collection, picture: Picture) -> Item:
    if picture.file is None:
        uri = f"{SOURCE}:{picture.sha256}"
        return Item(uri, picture.label, SOURCE, _nowhere, None, picture.fields)
    (item,) = ListedSource([str(picture.file)]).rooted(collection.metadata.roots).items()
    return replace(item, label=picture.label, payload={**picture.fields, **item.payload})


def _nowhere() -> Any:
    raise ImageError("the picture was added without a file")
