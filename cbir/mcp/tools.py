"""What an assistant can have done: list collections, search one, see a picture; blocking calls, for threads.

In: what the assistant says, and the collections of a home or a server. Out: JSON values, and a picture's bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir import documents
from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.collection.point import is_point_id
from cbir.core.digest import has_sha256
from cbir.core.errors import CbirError
from cbir.core.objects import is_object
from cbir.core.uris import is_absolute, shown
from cbir.ingest.sources.catalogue import NAMES
from cbir.ingest.sources.member_pictures import read_in_storage
from cbir.mcp.paths import RefusedError, permitted, roots_of
from cbir.model.errors import ImageError
from cbir.model.picture import decode
from cbir.search.places import located_places, opened
from cbir.search.query import StoredPoint, Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from cbir.collection.point import Payload
    from cbir.search.query import Query
    from cbir.search.searcher import Searcher
    from cbir.serve.library import Library

#: Hits at once, and pixels of a picture's longer side: what an assistant is given, it has to read.
MOST_HITS, MOST_PIXELS = 200, 1568
#: A picture no larger than this is sent as it is: a digit of 28 x 28 pixels would not survive JPEG.
_TINY = 128


class Tools:
    """The tools of an assistant.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def list_collections(self) -> dict[str, Any]:
        """Return all collections and what is known of them."""
        found = self._library.all_metadata()
        readable = [name for name, known in found.items() if isinstance(known, Metadata)]
        default = self._library.first() if readable else None
        return {"default": default, "collections": [self._described(name, known) for name, known in found.items()]}

    def _described(self, name: str, known: Metadata | CollectionError) -> dict[str, Any]:
        if isinstance(known, CollectionError):
            return {"name": name, "problem": str(known)}
        described: dict[str, Any] = {
            "name": name,
            "updated": known.updated,
            "sources": [known.place(source) for source in known.sources],
        }
        try:
            with self._searching(name) as searcher:
                return {
                    **described,
                    "pictures": searcher.info().points,
                    "encoder": searcher.bundle.kind,
                    "words": searcher.bundle.understands_words,
                }
        except CbirError as error:
            return {**described, "problem": str(error)}

    def search(
        self,
        *,
        path: str | None,
        text: str | None,
        identity: str | None,
        k: int,
        where: Sequence[str],
        collection: str | None,
    ) -> dict[str, Any]:
        """Return the stored pictures closest to a picture, a stored one, or words.

        Raises
        ------
        CbirError
            Not one of these, a path that may not be read, a condition that is none, and so on.
        """
        given = [name for name, value in (("path", path), ("text", text), ("id", identity)) if value is not None]
        if len(given) != 1:
            raise CbirError(f"give one of path, text and id, not {' and '.join(given) or 'none'}")
        if not 1 <= k <= MOST_HITS:
            raise CbirError(f"k is 1 to {MOST_HITS}, not {k}")
        asked: Query
        if path is not None:
            asked = permitted(path, self._roots())
        elif text is not None:
            asked = Words(text)
        else:
            asked = StoredPoint(identity or "")
        with self._searching(collection) as searcher:
            hits = searcher.search(asked, k, where=list(where) or None)
            metadata = searcher.metadata
            return {"collection": searcher.name, "hits": [documents.hit(hit, metadata) for hit in hits]}

    def picture(
        self, *, identity: str | None, path: str | None, collection: str | None, size: int
    ) -> tuple[bytes, str]:
        """Return a stored picture, or one below the collections' roots, small; and what format it is in.

        Raises
        ------
        CbirError
            It cannot be read, or may not be.
        """
        if (identity is None) == (path is None):
            raise CbirError("give either id or path")
        size = max(1, min(size, MOST_PIXELS))
        with self._searching(collection) as searcher:
            if path is not None:
                return _encoded(searcher.open_picture(permitted(path, self._roots()), enough=size), size)
            return _encoded(_stored(searcher, identity or "", size), size)

    def _roots(self) -> list[str]:
        return roots_of(known for known in self._library.all_metadata().values() if isinstance(known, Metadata))

    @contextmanager
    def _searching(self, name: str | None) -> Iterator[Searcher]:
        """Yield what searches a collection; afterwards others may have it, as an assistant may think for hours."""
        searcher = self._library.searcher(self._library.spelled(name))
        try:
            yield searcher
        finally:
            searcher.release()


def _stored(searcher: Searcher, identity: str, size: int) -> Image.Image:
    """Return a stored picture from the first of its places where it is; RefusedError if none is below its roots."""
    payload = searcher.collection.payloads([identity]).get(identity) if is_point_id(identity) else None
    if payload is None:
        raise CollectionError(f"collection '{searcher.name}' holds no point '{identity}'")
    problem: CbirError = RefusedError(f"the picture of point '{identity}' is not below the collection's folders")
    for place in located_places(payload, searcher.metadata):
        try:
            if is_object(place):
                return _in_storage(place, payload, size)
            if (permitted_place := _permitted(place, payload, searcher.metadata)) is not None:
                return opened(searcher.open_picture, permitted_place, payload, size)
        except ImageError as error:
            problem = error
    raise problem


def _in_storage(place: str, payload: Payload, size: int) -> Image.Image:
    content = read_in_storage(place, payload)
    if hashlib.sha256(content).hexdigest() != payload.get("sha256"):
        raise ImageError(f"{shown(place)} is another picture than the stored one; ingest it again")
    return decode(content, place, enough=size)


def _permitted(place: str, payload: Payload, metadata: Metadata) -> str | None:
    """Return what opens a place that is not in storage; None if that may not be."""
    if place.partition(":")[0] in NAMES and not os.path.lexists(place):
        return place  # a dataset's
    if not is_absolute(place):
        return None
    with suppress(RefusedError):
        return permitted(place, roots_of([metadata]))
    # Of files that were listed one by one, any is below the root: it has to be the very content.
    content, listed = payload.get("sha256"), len(roots_of([metadata])) < len(metadata.roots)
    return place if listed and isinstance(content, str) and has_sha256(Path(place), content) else None


def _encoded(image: Image.Image, size: int) -> tuple[bytes, str]:
    if max(image.size) > size:
        image.thumbnail((size, size))
    buffer = io.BytesIO()
    if max(image.size) <= _TINY:
        image.save(buffer, "PNG")
        return buffer.getvalue(), "png"
    image.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), "jpeg"
