"""Items become pixels, in threads that are some batches ahead of whoever takes them.

In: items, or items compared with a collection. Out: batches of uint8 pixels in
the items' order. A file is read once: its bytes give its hash and its picture.
A picture that cannot be read does not stop the run: it is passed on with the
reason.
"""

import hashlib
import math
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from types import MappingProxyType

import numpy as np
from PIL import Image

from cbir.collection.point import Payload
from cbir.core.progress import Progress, silent
from cbir.core.workers import batched, ordered_map
from cbir.ingest.sources.source import Item
from cbir.ingest.sync import Compared, Status
from cbir.model.errors import ImageError
from cbir.model.picture import decode
from cbir.model.preprocessing import Preprocessing

#: Images in a batch: Qdrant takes some hundred points at a time best.
BATCH = 256
#: Items in a batch, those that need no reading included.
_MOST_ITEMS = 4096
#: Items that a thread takes at once: handing over a dataset's image takes as long as preparing it.
_CHUNK = 16
#: Pictures in work or waiting, at most and at least, and the bytes of their pixels at most.
_MOST_AHEAD, _LEAST_AHEAD, _BYTES_AHEAD = 4 * BATCH, 4 * _CHUNK, 1 << 25


@dataclass(frozen=True)
class Made:
    """What a picture became while the encoder was learned, so that it need not be decoded and encoded again.

    Attributes
    ----------
    feature : ndarray of float32, shape (d,)
    brightness : float
        Median border brightness, in [0, 1].
    sha256 : str or None
        Of the file that it was made from; None if the picture is not a file.
    """

    feature: np.ndarray
    brightness: float
    sha256: str | None


@dataclass(frozen=True)
class Batch:
    """What became of some items.

    Attributes
    ----------
    ids : list of str
        Of the items whose pictures were read.
    payloads : list of Payload
        Theirs; those of files have the `sha256`.
    pixels : ndarray of uint8, shape (m, h, w, c)
        Of those that are not `made`.
    made : Mapping
        Places in `ids` to what is known of these pictures.
    updated : list of (id, payload)
        Points whose payload has to be replaced.
    unreadable : list of (Item, reason)
    unchanged : int
        Items that are stored as they are.
    """

    ids: list[str]
    payloads: list[Payload]
    pixels: np.ndarray
    made: Mapping[int, Made]
    updated: list[tuple[str, Payload]]
    unreadable: list[tuple[Item, str]]
    unchanged: int

    def __len__(self) -> int:
        """Number of items."""
        return len(self.ids) + len(self.updated) + len(self.unreadable) + self.unchanged


def read(
    compared: Iterable[Compared], preprocessing: Preprocessing, made: Mapping[str, Made] = MappingProxyType({})
) -> Generator[Batch, None, None]:
    """Open those items that have to be encoded; hash their files, and those that may have changed.

    Parameters
    ----------
    compared : iterable of Compared
    preprocessing : Preprocessing
    made : Mapping
        Ids of items to what is known of their pictures; a file that has changed since is opened all the same.

    Yields
    ------
    Batch
    """
    gathered: list[_Read] = []
    pictures = 0
    work = partial(_read_chunk, preprocessing, made)
    with closing(ordered_map(work, batched(compared, _CHUNK), ahead=_ahead(preprocessing))) as chunks:
        for chunk in chunks:
            gathered += chunk
            pictures += sum(read.encoded for read in chunk)
            if pictures >= BATCH or len(gathered) >= _MOST_ITEMS:
                yield _batch(gathered, preprocessing)
                gathered, pictures = [], 0
    if gathered:
        yield _batch(gathered, preprocessing)


def read_pixels(
    items: Iterable[Item],
    preprocessing: Preprocessing,
    known: Mapping[int, np.ndarray | None] = MappingProxyType({}),
    *,
    total: int | None = None,
    progress: Progress = silent,
) -> Generator[tuple[Item, np.ndarray | None], None, None]:
    """Open items, for an encoder to learn from.

    Parameters
    ----------
    items : iterable of Item
    preprocessing : Preprocessing
    known : Mapping
        Number of an item to its pixels, for those that were opened before; None if they cannot be read.
    total : int, optional
        Number of items.
    progress : Progress
        Stage `read`.

    Yields
    ------
    item : Item
    pixels : ndarray of uint8, shape (h, w, c), or None
        None for a picture that cannot be read.
    """
    prepare = partial(_prepare_chunk, preprocessing, known)
    with closing(ordered_map(prepare, batched(enumerate(items), _CHUNK), ahead=_ahead(preprocessing))) as chunks:
        for done, read in enumerate(chain.from_iterable(chunks), 1):
            yield read
            if done % BATCH == 0 or done == total:
                progress("read", done, total)


def opened(item: Item) -> tuple[Image.Image, str | None]:
    """Open an item's picture, and return the SHA-256 of its file too, if it is one.

    Raises
    ------
    ImageError
        It cannot be read.
    """
    if item.content is None:
        return item.open(), None
    content = item.content()
    return decode(content, item.location or item.uri), hashlib.sha256(content).hexdigest()


def _ahead(preprocessing: Preprocessing) -> int:
    """Return how many chunks may be in work or waiting."""
    fitting = _BYTES_AHEAD // math.prod(preprocessing.shape)
    return max(_LEAST_AHEAD, min(_MOST_AHEAD, fitting)) // _CHUNK


def _prepare_chunk(
    preprocessing: Preprocessing, known: Mapping[int, np.ndarray | None], chunk: Iterable[tuple[int, Item]]
) -> list[tuple[Item, np.ndarray | None]]:
    return [(item, known[n] if n in known else _prepared(item, preprocessing)) for n, item in chunk]


def _prepared(item: Item, preprocessing: Preprocessing) -> np.ndarray | None:
    try:
        return preprocessing.pixels(item.open())
    except ImageError:
        return None


@dataclass(frozen=True)
class _Read:
    """An item after reading.

    It has `pixels` if it has to be encoded, or what was `made` of it before; a `problem` if it cannot be read.
    """

    compared: Compared
    pixels: np.ndarray | None = None
    made: Made | None = None
    problem: str = ""

    @property
    def encoded(self) -> bool:
        """Whether its point is to be stored."""
        return self.pixels is not None or self.made is not None


def _read_chunk(preprocessing: Preprocessing, made: Mapping[str, Made], chunk: Iterable[Compared]) -> list[_Read]:
    return [_read_one(compared, preprocessing, made) for compared in chunk]


def _read_one(compared: Compared, preprocessing: Preprocessing, made: Mapping[str, Made]) -> _Read:
    item = compared.item
    if compared.status in (Status.UNCHANGED, Status.UPDATED):
        return _Read(compared)
    known = made.get(item.id) if made else None
    try:
        if item.content is None:
            if known is not None:
                return _Read(compared, made=known)
            return _Read(compared, preprocessing.pixels(item.open()))
        content = item.content()
        sha256 = hashlib.sha256(content).hexdigest()
        compared = replace(compared, item=replace(item, payload={**item.payload, "sha256": sha256}))
        if compared.status is Status.UNSURE and (compared.stored or {}).get("sha256", sha256) == sha256:
            return _Read(replace(compared, status=Status.UPDATED))
        if known is not None and known.sha256 == sha256:
            return _Read(compared, made=known)
        return _Read(compared, preprocessing.pixels(decode(content, item.location or item.uri)))
    except ImageError as error:
        return _Read(compared, problem=str(error))


def _batch(gathered: list[_Read], preprocessing: Preprocessing) -> Batch:
    pixels = [read.pixels for read in gathered if read.pixels is not None]
    stored = [read for read in gathered if read.encoded]
    updated = [read.compared for read in gathered if read.compared.status is Status.UPDATED]
    return Batch(
        ids=[read.compared.item.id for read in stored],
        payloads=[read.compared.new_payload for read in stored],
        pixels=np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8),
        made={place: read.made for place, read in enumerate(stored) if read.made is not None},
        updated=[(compared.item.id, compared.updated_payload) for compared in updated],
        unreadable=[(read.compared.item, read.problem) for read in gathered if read.problem],
        unchanged=sum(read.compared.status is Status.UNCHANGED for read in gathered),
    )
