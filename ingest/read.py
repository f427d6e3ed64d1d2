"""Items become pixels, in threads that are some batches ahead of whoever takes them.

In: items, or items compared with a collection. Out: batches of uint8 pixels in
the items' order. A file is read once, in two steps: its bytes give its hash,
and its picture only if that content is not stored yet. A picture that cannot be
read does not stop the run: it is passed on with the reason.
"""

import hashlib
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from cbir.core.progress import Progress, silent
from cbir.core.workers import batched, ordered_map
from cbir.ingest.described import id_of, place_of
from cbir.ingest.places import Content, Places
from cbir.ingest.sources.source import Item
from cbir.ingest.sync import Status
from cbir.model.errors import ImageError
from cbir.model.picture import decode, decoded, details_of
from cbir.model.preprocessing import Preprocessing

#: Images in a batch: Qdrant takes some hundred points at a time best.
BATCH = 256
#: Items in a batch, those that need no reading included.
_MOST_ITEMS = 4096
#: Items that a thread takes at once: handing over a dataset's image takes as long as preparing it.
_CHUNK = 16
#: Bytes of files that a thread takes at once, more or less: large files one by one.
_CHUNK_BYTES = 1 << 22
#: Chunks of files that are read and hashed ahead of decoding.
_HASHED_AHEAD = 4
_SECOND = 1_000_000_000
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
class Fresh:
    """An item whose picture has to be encoded and stored.

    Attributes
    ----------
    item : Item
    sha256 : str or None
        Of its file, if it is one.
    details : Mapping
        Fields of the payload that were read from the file.
    """

    item: Item
    sha256: str | None
    details: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The point's."""
        return id_of(self.item, self.sha256)


@dataclass(frozen=True)
class Known:
    """An item whose content is stored already, or is in an earlier batch or earlier in the same one.

    Attributes
    ----------
    item : Item
    sha256 : str
        Of its file.
    details : Mapping or None
        Fields that were read from the file, where the stored point lacks them.
    """

    item: Item
    sha256: str
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Failed:
    """An item that cannot be read: the `problem` names it. `sha256` is None if not even its file can be."""

    item: Item
    problem: str
    sha256: str | None = None


@dataclass(frozen=True)
class Batch:
    """What became of some items.

    Attributes
    ----------
    fresh : list of Fresh
    pixels : ndarray of uint8, shape (m, h, w, c)
        Of those that are not `made`.
    made : Mapping
        Places in `fresh` to what is known of these pictures.
    known : list of Known
    described : list of Item
        Their points' payloads have to be replaced.
    failed : list of Failed
    """

    fresh: list[Fresh]
    pixels: np.ndarray
    made: Mapping[int, Made]
    known: list[Known]
    described: list[Item]
    failed: list[Failed]

    def __len__(self) -> int:
        """Number of items."""
        return len(self.fresh) + len(self.known) + len(self.described) + len(self.failed)


def read(
    work: Iterable[tuple[Item, Status]],
    preprocessing: Preprocessing,
    places: Places,
    made: Mapping[str, Made] = MappingProxyType({}),
) -> Generator[Batch, None, None]:
    """Read items' files, and decode those contents that are not stored.

    Parameters
    ----------
    work : iterable of (Item, Status)
        What is unchanged is not among them.
    preprocessing : Preprocessing
    places : Places
        Knows which contents are stored, and notes which are about to be.
    made : Mapping
        `key` of pictures to what learning the encoder made of them.

    Yields
    ------
    Batch
        The items are in their order.
    """
    gathered: list[_Read] = []
    pictures = 0
    hashed = ordered_map(_hash_chunk, _chunks(work), ahead=_HASHED_AHEAD)
    with closing(hashed):
        decided = (_decide(chunk, places, made) for chunk in hashed)
        with closing(ordered_map(partial(_open_chunk, preprocessing), decided, ahead=_ahead(preprocessing))) as chunks:
            for chunk in chunks:
                gathered += chunk
                pictures += sum(read.fresh for read in chunk)
                if pictures >= BATCH or len(gathered) >= _MOST_ITEMS:
                    yield _batch(gathered, preprocessing)
                    gathered, pictures = [], 0
            if gathered:
                yield _batch(gathered, preprocessing)


def key(item: Item, sha256: str | None) -> str:
    """Return what a picture is known by while it is learned from and stored: its content, or its uri in a dataset."""
    return sha256 or item.uri


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


@dataclass
class _Read:
    """An item on its way through both steps of reading.

    It is to be encoded if it is `fresh`, and then has `pixels`, or what was `made` of it before. It has the
    `content` of its file from the first step to the second, if that is needed there.
    """

    item: Item
    status: Status
    content: bytes | None = field(default=None, repr=False)
    sha256: str | None = None
    fresh: bool = False
    pixels: np.ndarray | None = None
    made: Made | None = None
    details: Mapping[str, Any] | None = None
    problem: str = ""


def _chunks(work: Iterable[tuple[Item, Status]]) -> Iterator[list[tuple[Item, Status]]]:
    """Yield items for a thread to read at once: `_CHUNK`, or fewer large files."""
    chunk: list[tuple[Item, Status]] = []
    size = 0
    for item, status in work:
        chunk.append((item, status))
        size += item.payload.get("bytes") or 0 if item.content is not None else 0
        if len(chunk) >= _CHUNK or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _hash_chunk(chunk: Iterable[tuple[Item, Status]]) -> list[_Read]:
    """First step, in a thread: files are read and hashed."""
    found = [_Read(item, status) for item, status in chunk]
    for read in found:
        if read.status is Status.READ and read.item.content is not None:
            try:
                read.content = read.item.content()
                read.sha256 = hashlib.sha256(read.content).hexdigest()
            except ImageError as error:
                read.problem = str(error)
    return found


def _decide(chunk: list[_Read], places: Places, made: Mapping[str, Made]) -> list[_Read]:
    """Between the steps, in the items' order: which contents are new."""
    for read in chunk:
        if read.problem or read.status is not Status.READ:
            continue
        stored = None
        if read.sha256 is not None:
            stored = places.content(read.sha256, read.item.place) or _unhashed(read.item, read.sha256, places)
            if stored is None:
                places.expect(id_of(read.item, read.sha256), read.sha256)
            elif stored.detailed and not stored.problem:
                read.content = None
        # What could not be read is tried again, for a message that names this file.
        read.fresh = stored is None or stored.problem is not None
        if read.fresh and made:
            read.made = made.get(key(read.item, read.sha256))
    return chunk


def _unhashed(item: Item, sha256: str, places: Places) -> Content | None:
    """Return what the first cbir stored of this very file: without a hash, and with times in seconds."""
    size, modified, *_ = place_of(item).stamp
    seconds = None if modified is None else modified // _SECOND
    for claim in places.at(*item.place):
        if claim.sha256 is None and claim.place.stamp[:2] == (size, seconds):
            places.hashed(claim.content, sha256)
            return places.content(sha256)
    return None


def _open_chunk(preprocessing: Preprocessing, chunk: list[_Read]) -> list[_Read]:
    """Second step, in a thread: new contents are decoded."""
    for read in chunk:
        content, read.content = read.content, None
        if read.problem or read.status is not Status.READ:
            continue
        try:
            if not read.fresh:
                read.details = None if content is None else details_of(content, _name(read.item)).payload()
            elif content is None:
                if read.made is None:
                    read.pixels = preprocessing.pixels(read.item.open())
            else:
                _open(read, content, preprocessing)
        except ImageError as error:
            read.problem = str(error)
    return chunk


def _open(read: _Read, content: bytes, preprocessing: Preprocessing) -> None:
    """Decode a file's content, unless learning has made its feature already."""
    if read.made is not None:
        read.details = details_of(content, _name(read.item)).payload()
        return
    found = decoded(content, _name(read.item), enough=preprocessing.enough)
    read.pixels, read.details = preprocessing.pixels(found.picture), found.details.payload()


def _name(item: Item) -> str:
    return item.location or item.uri


def _batch(gathered: list[_Read], preprocessing: Preprocessing) -> Batch:
    fresh = [read for read in gathered if read.fresh and not read.problem]
    pixels = [read.pixels for read in fresh if read.pixels is not None]
    known = [r for r in gathered if r.status is Status.READ and not r.fresh and not r.problem]
    return Batch(
        fresh=[Fresh(read.item, read.sha256, read.details or {}) for read in fresh],
        pixels=np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8),
        made={place: read.made for place, read in enumerate(fresh) if read.made is not None},
        known=[Known(read.item, str(read.sha256), read.details) for read in known],
        described=[read.item for read in gathered if read.status is Status.DESCRIBED],
        failed=[Failed(read.item, read.problem, read.sha256) for read in gathered if read.problem],
    )
