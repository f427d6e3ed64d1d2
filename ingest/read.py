"""Items become pixels, some batches ahead of whoever takes them: read in threads, decoded in processes.

In: items, or items compared with a collection. Out: batches of uint8 pixels in
the items' order. A file is read once, in two steps: its bytes give its hash,
and its picture only if that content is not stored yet. A picture that cannot be
read does not stop the run: it is passed on with the reason.
"""

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from cbir.core.progress import Progress, silent
from cbir.core.uris import shown
from cbir.core.workers import ordered_map, portions
from cbir.ingest.claim import Claim, Content
from cbir.ingest.decode import (
    CHUNK,
    CHUNK_BYTES,
    Decoders,
    File,
    Inputs,
    Seen,
    file_bytes,
    held_bytes,
    open_items,
    portions_ahead,
    see,
)
from cbir.ingest.described import id_of, place_of
from cbir.ingest.sources.source import Item
from cbir.ingest.sync import Status
from cbir.model.errors import ImageError, PassingError
from cbir.model.preprocessing import Preprocessing

#: Images in a batch: Qdrant takes some hundred points at a time best.
BATCH = 256
#: Bytes of a batch's pixels: so many of large ones are held, and so much work is lost by whoever interrupts.
_BATCH_BYTES, _LEAST_BATCH = 1 << 24, 8
#: Items in a batch, those that need no reading included.
_MOST_ITEMS = 4096
#: Chunks of files that are read and hashed ahead of decoding.
_HASHED_AHEAD = 4
_SECOND = 1_000_000_000


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
    """An item that cannot be read: the `problem` names it, as it is `shown`.

    `sha256` is None if not even its file can be. `lasting` says that the same file cannot be read another time either.
    """

    item: Item
    problem: str
    sha256: str | None = None
    lasting: bool = False


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
    coloured : int
        Of the fresh ones: pictures in colour that the encoder sees in grey.
    """

    fresh: list[Fresh]
    pixels: np.ndarray
    made: Mapping[int, Made]
    known: list[Known]
    described: list[Item]
    failed: list[Failed]
    coloured: int = 0

    def __len__(self) -> int:
        """Number of items."""
        return len(self.fresh) + len(self.known) + len(self.described) + len(self.failed)


class Contents(Protocol):
    """Knows which contents are stored: `cbir.ingest.places.Places`, or what asks the collection."""

    def prepare(self, hashes: Iterable[str]) -> None:
        """Find out what is stored of these contents; the next calls are about them."""

    def content(self, sha256: str, place: tuple[str, str] | None = None) -> Content | None:
        """Return the content of a hash; of several, the one that claims a place."""

    def expect(self, identity: str, sha256: str | None) -> Content:
        """Note a content that is about to be stored."""

    def at(self, source: str, uri: str) -> list[Claim]:
        """Return the claims to a place."""

    def hashed(self, content: int, sha256: str) -> None:
        """Note the hash of a content that was stored without one."""


def read(
    work: Iterable[tuple[Item, Status]],
    preprocessing: Preprocessing,
    places: Contents,
    made: Mapping[str, Made] = MappingProxyType({}),
    *,
    decoders: Decoders | None = None,
    chunk: int = CHUNK,
) -> Generator[Batch, None, None]:
    """Read items' files, and decode those contents that are not stored.

    Parameters
    ----------
    work : iterable of (Item, Status)
        What is unchanged is not among them.
    preprocessing : Preprocessing
    places : Contents
        Knows which contents are stored, and notes which are about to be.
    made : Mapping
        `key` of pictures to what learning the encoder made of them.
    decoders : Decoders, optional
        Open ones, which stay open; by default some of its own.
    chunk : int
        Files that are hashed, and asked about, at once.

    Yields
    ------
    Batch
        The items are in their order.
    """
    inputs = Inputs.only(preprocessing)
    most = max(_LEAST_BATCH, min(BATCH, _BATCH_BYTES // inputs.values))
    own = decoders is None
    decoders = decoders or Decoders()
    hashed = ordered_map(
        _hash_chunk,
        portions(work, chunk, weigh=lambda each: file_bytes(each[0]), heavy=CHUNK_BYTES),
        ahead=_HASHED_AHEAD,
        weigh=lambda part: sum(file_bytes(item) for item, _ in part),
        most_weight=held_bytes(decoders.threads),
    )
    opened = ordered_map(
        partial(_open_chunk, decoders, inputs),
        (_decide(part, places, made) for part in hashed),
        threads=decoders.threads,
        ahead=portions_ahead(decoders.threads, inputs),
        weigh=lambda part: sum(len(read.content or b"") for read in part),
        most_weight=held_bytes(decoders.threads),
    )
    gathered: list[_Read] = []
    pictures = 0
    # Left in this order, so that what is in work is stopped before it is waited for.
    with closing(hashed), closing(opened), decoders if own else nullcontext():
        for part in opened:
            gathered += part
            pictures += sum(read.fresh for read in part)
            if pictures >= most or len(gathered) >= _MOST_ITEMS:
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
    with closing(open_items(enumerate(items), Inputs.only(preprocessing), known=known)) as opened:
        for number, item, found in opened:
            yield item, known[number] if found is None else found.pixels(preprocessing)
            if (number + 1) % BATCH == 0 or number + 1 == total:
                progress("read", number + 1, total)


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
    coloured: bool = False
    problem: str = ""
    lasting: bool = False

    @property
    def file(self) -> File:
        """The file's bytes, and its name for messages."""
        return self.content or b"", self.item.location or self.item.uri

    def fail(self, error: ImageError) -> None:
        """Note why it cannot be read."""
        self.problem, self.lasting = shown(str(error)), not isinstance(error, PassingError)

    def take(self, seen: Seen) -> None:
        """Take what was seen of the picture, under a single input."""
        ((_, self.pixels),) = seen.pixels.items()
        self.coloured = seen.grey is False


def _hash_chunk(chunk: Iterable[tuple[Item, Status]]) -> list[_Read]:
    """First step, in a thread: files are read and hashed."""
    found = [_Read(item, status) for item, status in chunk]
    for read in found:
        if read.status is Status.READ and read.item.content is not None:
            try:
                read.content = read.item.content()
                read.sha256 = hashlib.sha256(read.content).hexdigest()
            except ImageError as error:
                read.fail(error)
    return found


def _decide(chunk: list[_Read], places: Contents, made: Mapping[str, Made]) -> list[_Read]:
    """Between the steps, in the items' order: which contents are new."""
    places.prepare(read.sha256 for read in chunk if read.sha256 is not None)
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


def _unhashed(item: Item, sha256: str, places: Contents) -> Content | None:
    """Return what the first cbir stored of this very file: without a hash, and with times in seconds."""
    size, modified, *_ = place_of(item).stamp
    seconds = None if modified is None else modified // _SECOND
    for claim in places.at(*item.place):
        if claim.sha256 is None and claim.place.stamp[:2] == (size, seconds):
            places.hashed(claim.content, sha256)
            return places.content(sha256)
    return None


def _open_chunk(decoders: Decoders, inputs: Inputs, chunk: list[_Read]) -> list[_Read]:
    """Second step, in a thread and a process: new contents are decoded."""
    decoded: list[_Read] = []
    described: list[_Read] = []
    for read in chunk:
        if read.content is not None:
            (decoded if read.fresh and read.made is None else described).append(read)
        elif read.fresh and read.made is None and not read.problem:
            try:
                read.take(see(read.item.open(), inputs))
            except ImageError as error:
                read.fail(error)
    for read, seen in zip(decoded, decoders.decode([read.file for read in decoded], inputs), strict=True):
        if isinstance(seen, ImageError):
            read.fail(seen)
        else:
            read.take(seen)
            read.details = seen.details.payload()
    for read, details in zip(described, decoders.details([read.file for read in described]), strict=True):
        if isinstance(details, ImageError):
            read.fail(details)
        else:
            read.details = details.payload()
    for read in chunk:
        read.content = None
    return chunk


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
        failed=[Failed(read.item, read.problem, read.sha256, read.lasting) for read in gathered if read.problem],
        coloured=sum(read.coloured for read in fresh),
    )
