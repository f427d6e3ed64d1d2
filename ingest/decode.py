"""Pictures become pixels, in worker processes: a file that crashes its decoder or never ends is one bad file, no more.

In: items, or the bytes of their files, and the encoder's inputs that they may be needed for. Out: pixels and details,
or the reason why there are none. Processes, because threads that decode small pictures wait for each other
(core/processes.py has the numbers), and because nothing else survives a decoder's segmentation fault.
`CBIR_PROCESSES=0` decodes in this process's threads.
"""

import hashlib
import math
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar

import numpy as np
from PIL import Image

from cbir.core.processes import ProcessError, Processes
from cbir.core.workers import MOST_THREADS, ordered_map, portions, usable_cores
from cbir.ingest.sources.source import Item
from cbir.model.details import Details
from cbir.model.errors import ImageError, PassingError
from cbir.model.modes import is_grey
from cbir.model.picture import decoded, details_of
from cbir.model.preprocessing import Preprocessing

R = TypeVar("R")

#: Pictures that a process takes at once, and the bytes of files from which on it takes no more: handing over takes
#: 0.1 ms, as long as decoding a small one.
CHUNK, CHUNK_BYTES = 8, 1 << 20
#: Bytes of files in work or waiting, in all or for each thread, whichever is more; and of the pixels made of them: two
#: batches, so that the decoders have something to do while one is encoded.
_HELD_BYTES, _HELD_EACH, _AHEAD_BYTES = 1 << 26, 1 << 23, 1 << 25
#: Portions in work or waiting, of small pictures.
_MOST_AHEAD = 64
#: Seconds for several files at once, and for one alone: a picture of 100 megapixels takes some 5.
_SECONDS_TOGETHER, _SECONDS_ALONE = 20.0, 60.0

#: Pixels of a picture's shorter side from which one sees whether it has colour.
_ENOUGH_FOR_COLOUR = 64

#: A file's bytes and its name, for messages.
File = tuple[bytes, str]


@dataclass(frozen=True)
class Inputs:
    """What pictures are brought to.

    Attributes
    ----------
    of_colour, of_grey : tuple of Preprocessing
        For a picture that has colour, and for one that has none.
    ask : bool
        Whether it matters which it is; if not, all are brought to `of_colour`.
    """

    of_colour: tuple[Preprocessing, ...]
    of_grey: tuple[Preprocessing, ...] = ()
    ask: bool = True

    @classmethod
    def only(cls, preprocessing: Preprocessing) -> Self:
        """Return the inputs of an encoder; if it sees grey alone, pictures in colour are worth a word."""
        return cls((preprocessing,), (preprocessing,), preprocessing.channels == 1)

    @property
    def enough(self) -> int:
        """Pixels of a picture's shorter side that suffice for all of them."""
        return max([_ENOUGH_FOR_COLOUR, *(each.enough for each in (*self.of_colour, *self.of_grey))])

    @property
    def values(self) -> int:
        """Values of the pixels of one picture, at the most."""
        return max(sum(math.prod(each.shape) for each in some) for some in (self.of_colour, self.of_grey))


@dataclass(frozen=True)
class Seen:
    """What a picture became.

    Attributes
    ----------
    pixels : Mapping
        Inputs to uint8 arrays (h, w, c).
    details : Details
    grey : bool or None
        Whether it has no colour; None if nobody asked.
    """

    pixels: Mapping[Preprocessing, np.ndarray]
    details: Details
    grey: bool | None


@dataclass(frozen=True)
class Opened:
    """What became of an item's picture: `seen`, or a `problem`; and its file's `sha256`, if it is one."""

    seen: Seen | None = None
    sha256: str | None = None
    problem: str = ""

    def pixels(self, preprocessing: Preprocessing) -> np.ndarray | None:
        """Return the pixels for an input, (h, w, c) uint8; None if there is a problem."""
        return None if self.seen is None else self.seen.pixels[preprocessing]


class Decoders:
    """Decodes files for as long as it is open; threads share it. Closing stops what is in work."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._processes.close()

    @property
    def threads(self) -> int:
        """Threads that keep the processes busy; without processes, those that decode."""
        return self._processes.most or min(MOST_THREADS, usable_cores())

    def decode(self, files: Sequence[File], inputs: Inputs) -> list[Seen | ImageError]:
        """Decode some files in one process.

        Parameters
        ----------
        files : sequence of (bytes, str)
            `CHUNK` of them, less if they are large.
        inputs : Inputs

        Returns
        -------
        list of Seen or ImageError
            One for each file.
        """
        return self._each(partial(_decoded, inputs=inputs), files)

    def details(self, files: Sequence[File]) -> list[Details | ImageError]:
        """Return what some files say about their pictures, which are not decoded; parameters as of `decode`."""
        return self._each(_details, files)

    def open(self, items: Sequence[Item], inputs: Inputs) -> list[Opened]:
        """Read, hash and decode some items, in one process where they are files."""
        found: dict[int, Opened] = {}
        files: dict[int, File] = {}
        for number, item in enumerate(items):
            try:
                if item.content is None:
                    found[number] = Opened(see(item.open(), inputs))
                else:
                    files[number] = item.content(), item.location or item.uri
            except ImageError as error:
                found[number] = Opened(problem=str(error))
        for (number, (content, _)), seen in zip(files.items(), self.decode([*files.values()], inputs), strict=True):
            sha256 = hashlib.sha256(content).hexdigest()
            if isinstance(seen, ImageError):
                found[number] = Opened(sha256=sha256, problem=str(seen))
            else:
                found[number] = Opened(seen, sha256)
        return [found[number] for number in range(len(items))]

    def _each(self, function: Callable[[File], R | ImageError], files: Sequence[File]) -> list[R | ImageError]:
        if len(files) > 1:
            # Whichever of them it was that failed, each is tried alone then.
            with suppress(ProcessError):
                return self._processes.call(_SECONDS_TOGETHER, _mapped, function, files)
        return [self._alone(function, file) for file in files]

    def _alone(self, function: Callable[[File], R | ImageError], file: File) -> R | ImageError:
        try:
            return self._processes.call(_SECONDS_ALONE, function, file)
        except ProcessError as error:
            return PassingError(f"{file[1]} cannot be decoded: {error}")


def open_items(
    items: Iterable[tuple[int, Item]], inputs: Inputs, *, known: Container[int] = ()
) -> Generator[tuple[int, Item, Opened | None], None, None]:
    """Read and decode numbered items, some ahead of whoever takes them, in bounded memory.

    Parameters
    ----------
    items : iterable of (int, Item)
    inputs : Inputs
    known : container of int
        Numbers of items that need not be opened.

    Yields
    ------
    number : int
    item : Item
    opened : Opened or None
        None for what is known.
    """
    decoders = Decoders()
    parts = portions(items, CHUNK, weigh=lambda numbered: file_bytes(numbered[1]), heavy=CHUNK_BYTES)
    opened = ordered_map(
        partial(_open_portion, decoders, inputs, known),
        parts,
        threads=decoders.threads,
        ahead=portions_ahead(decoders.threads, inputs),
        weigh=lambda part: sum(file_bytes(item) for _, item in part),
        most_weight=held_bytes(decoders.threads),
    )
    # Left in this order, so that what is in work is stopped before it is waited for.
    with closing(opened), decoders:
        for portion in opened:
            yield from portion


def file_bytes(item: Item) -> int:
    """Return the bytes of an item's file, as far as the source knows them."""
    size = item.payload.get("bytes", 0)
    return size if item.content is not None and isinstance(size, int) else 0


def portions_ahead(threads: int, inputs: Inputs) -> int:
    """Return how many portions may be in work or waiting."""
    return max(2 * threads, min(_MOST_AHEAD, _AHEAD_BYTES // (CHUNK * max(1, inputs.values))))


def held_bytes(threads: int) -> int:
    """Return how many bytes of files may be in work or waiting."""
    return max(_HELD_BYTES, threads * _HELD_EACH)


def see(picture: Image.Image, inputs: Inputs, details: Details | None = None) -> Seen:
    """Bring a picture to the inputs that it is needed for.

    Raises
    ------
    ImageError
        It cannot be brought to one of them.
    """
    grey = is_grey(picture) if inputs.ask else None
    pixels = {each: each.pixels(picture) for each in (inputs.of_grey if grey else inputs.of_colour)}
    return Seen(pixels, details or Details(*picture.size, format=""), grey)


def _mapped(function: Callable[[File], R], files: Sequence[File]) -> list[R]:
    return [function(file) for file in files]


def _decoded(file: File, inputs: Inputs) -> Seen | ImageError:
    try:
        found = decoded(*file, enough=inputs.enough)
        return see(found.picture, inputs, found.details)
    except ImageError as error:
        return error


def _details(file: File) -> Details | ImageError:
    try:
        return details_of(*file)
    except ImageError as error:
        return error


def _open_portion(
    decoders: Decoders, inputs: Inputs, known: Container[int], portion: Sequence[tuple[int, Item]]
) -> list[tuple[int, Item, Opened | None]]:
    opened = iter(decoders.open([item for number, item in portion if number not in known], inputs))
    return [(number, item, None if number in known else next(opened)) for number, item in portion]
