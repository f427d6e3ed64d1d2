"""A sample of a source's pictures chooses the encoder's input; each of them is opened once.

In: a source. Out: the encoder, if none was named, the preprocessing that suits
it, and the sampled pictures' pixels under it, so that learning does not open
them again. Until the choice is made, their pixels are held under each
preprocessing that is possible, never the pictures themselves.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np

from cbir.ingest.decode import Inputs, open_items
from cbir.ingest.sources.source import Item, Source
from cbir.model.errors import ModelError
from cbir.model.kind import Kind
from cbir.model.preprocessing import Preprocessing
from cbir.model.registry import kind_of, usual_encoder
from cbir.model.suited import Look, Traits, possible_traits, traits, validated_side

#: Pictures opened to choose the encoder's input.
_SAMPLED = 100


@dataclass(frozen=True)
class Sample:
    """What a sample decided.

    Attributes
    ----------
    kind : Kind
        The encoder: the one that was named, or the usual one for such pictures.
    traits : Traits
    suited : Preprocessing
        What suits the pictures, whatever the encoder.
    preprocessing : Preprocessing
        The encoder's.
    pixels : Mapping
        Number of a sampled item to its pixels (h, w, c) uint8, None if it cannot be read.
    hashes : Mapping
        Number of a sampled item to the SHA-256 of its file, if it is one.
    """

    kind: Kind
    traits: Traits
    suited: Preprocessing
    preprocessing: Preprocessing
    pixels: Mapping[int, np.ndarray | None]
    hashes: Mapping[int, str]


def take_sample(source: Source, kind: Kind | None, size: int | None = None, *, keep_pixels: bool = False) -> Sample:
    """Open some pictures of a source, from all over it, and choose the encoder's input.

    Parameters
    ----------
    source : Source
    kind : Kind or None
        The encoder: it may need another input than suits the pictures. None: the usual one for such pictures.
    size : int, optional
        The input's height and width, instead of what suits the pictures.
    keep_pixels : bool
        Keep the pixels of the sampled pictures, for learning.

    Returns
    -------
    Sample

    Raises
    ------
    ImageError
        A size that cannot be.
    ModelError
        A size that the encoder cannot have.
    """
    validated_side(size)
    looks: list[Look] = []
    pixels: dict[int, Mapping[Preprocessing, np.ndarray]] = {}
    hashes: dict[int, str] = {}
    inputs = _possible_inputs(kind, size) if keep_pixels else Inputs((), ())
    with closing(open_items(_drawn(source.items()), inputs)) as sampled:
        for number, _, opened in sampled:
            if opened is None or opened.seen is None:
                pixels[number] = {}
                continue
            details = opened.seen.details
            looks.append(Look(opened.seen.grey is True, max(details.width, details.height)))
            pixels[number] = opened.seen.pixels
            if opened.sha256 is not None:
                hashes[number] = opened.sha256
    found = traits(looks)
    chosen = kind or kind_of(usual_encoder(found))
    preprocessing = chosen.preprocessing(found.input(size))
    if size is not None and preprocessing.height != size:
        raise ModelError(
            f"encoder '{chosen.name}' sees pictures at {preprocessing.height}x{preprocessing.width}: "
            "leave out --size, or name another encoder (cbir encoders)"
        )
    known = {number: each.get(preprocessing) for number, each in pixels.items()} if keep_pixels else {}
    return Sample(chosen, found, found.input(size), preprocessing, known, hashes)


def _drawn(items: Iterable[Item]) -> list[tuple[int, Item]]:
    """Draw some numbered items, always the same ones, in their order.

    By a hash of their uris, as nothing else is fair: classes may take turns, cameras number their pictures, and every
    second one may be of one kind.
    """
    drawn = nsmallest(_SAMPLED, enumerate(items), key=lambda numbered: _shuffled(numbered[1].uri))
    return sorted(drawn, key=lambda numbered: numbered[0])


def _shuffled(uri: str) -> bytes:
    return hashlib.blake2b(uri.encode(errors="surrogatepass"), digest_size=8).digest()


def _possible_inputs(kind: Kind | None, size: int | None) -> Inputs:
    """Return what pictures may have to be brought to, depending on what all of the sample are like."""

    def inputs(grey: bool) -> tuple[Preprocessing, ...]:
        possible = possible_traits(Look(grey, 0))
        return tuple(
            dict.fromkeys((kind or kind_of(usual_encoder(each))).preprocessing(each.input(size)) for each in possible)
        )

    return Inputs(inputs(grey=False), inputs(grey=True))
