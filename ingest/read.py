"""Items become pixels, in threads that are some batches ahead of whoever takes them.

In: items, or items compared with a collection. Out: batches of uint8 pixels in
the items' order. A file is read once: its bytes give its hash and its picture.
A picture that cannot be read does not stop the run: it is passed on with the
reason.
"""

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from types import MappingProxyType

import numpy as np

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
#: Chunks in work or waiting.
_AHEAD = 4 * BATCH // _CHUNK


@dataclass(frozen=True)
class Batch:
    """What became of some items.

    Attributes
    ----------
    ids : list of str
        Of the items whose pictures were read.
    payloads : list of Payload
        Theirs; those of files have the `sha256`.
    pixels : ndarray of uint8, shape (n, h, w, c)
        Theirs.
    updated : list of (id, payload)
        Points whose payload has to be replaced.
    unreadable : list of (Item, reason)
    unchanged : int
        Items that are stored as they are.
    """

    ids: list[str]
    payloads: list[Payload]
    pixels: np.ndarray
    updated: list[tuple[str, Payload]]
    unreadable: list[tuple[Item, str]]
    unchanged: int

    def __len__(self) -> int:
        """Number of items."""
        return len(self.ids) + len(self.updated) + len(self.unreadable) + self.unchanged


def read(compared: Iterable[Compared], preprocessing: Preprocessing) -> Generator[Batch, None, None]:
    """Open those items that have to be encoded; hash their files, and those that may have changed.

    Parameters
    ----------
    compared : iterable of Compared
    preprocessing : Preprocessing

    Yields
    ------
    Batch
    """
    gathered: list[_Read] = []
    pictures = 0
    with closing(ordered_map(partial(_read_chunk, preprocessing), batched(compared, _CHUNK), ahead=_AHEAD)) as chunks:
        for chunk in chunks:
            gathered += chunk
            pictures += sum(read.pixels is not None for read in chunk)
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
    with closing(ordered_map(prepare, batched(enumerate(items), _CHUNK), ahead=_AHEAD)) as chunks:
        for done, read in enumerate(chain.from_iterable(chunks), 1):
            yield read
            if done % BATCH == 0 or done == total:
                progress("read", done, total)


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
    """An item after reading: with `pixels` if it has to be encoded, with a `problem` if it cannot be read."""

    compared: Compared
    pixels: np.ndarray | None = None
    problem: str = ""


def _read_chunk(preprocessing: Preprocessing, chunk: Iterable[Compared]) -> list[_Read]:
    return [_read_one(compared, preprocessing) for compared in chunk]


def _read_one(compared: Compared, preprocessing: Preprocessing) -> _Read:
    item = compared.item
    if compared.status in (Status.UNCHANGED, Status.UPDATED):
        return _Read(compared)
    try:
        if item.content is None:
            return _Read(compared, preprocessing.pixels(item.open()))
        content = item.content()
        sha256 = hashlib.sha256(content).hexdigest()
        compared = replace(compared, item=replace(item, payload={**item.payload, "sha256": sha256}))
        if compared.status is Status.UNSURE and (compared.stored or {}).get("sha256", sha256) == sha256:
            return _Read(replace(compared, status=Status.UPDATED))
        return _Read(compared, preprocessing.pixels(decode(content, item.location or item.uri)))
    except ImageError as error:
        return _Read(compared, problem=str(error))


def _batch(gathered: list[_Read], preprocessing: Preprocessing) -> Batch:
    pixels = [read.pixels for read in gathered if read.pixels is not None]
    encoded = [read.compared for read in gathered if read.pixels is not None]
    updated = [read.compared for read in gathered if read.compared.status is Status.UPDATED]
    return Batch(
        ids=[compared.item.id for compared in encoded],
        payloads=[compared.new_payload for compared in encoded],
        pixels=np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8),
        updated=[(compared.item.id, compared.updated_payload) for compared in updated],
        unreadable=[(read.compared.item, read.problem) for read in gathered if read.problem],
        unchanged=sum(read.compared.status is Status.UNCHANGED for read in gathered),
    )
