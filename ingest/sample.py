"""A sample of a source's pictures chooses the encoder's input; each of them is opened once.

In: a source. Out: the encoder, if none was named, the preprocessing that suits
it, and the sampled pictures' pixels under it, so that learning does not open
them again. Until the choice is made, their pixels are held under each
preprocessing that is possible, never the pictures themselves.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from cbir.core.workers import ordered_map
from cbir.ingest.read import opened
from cbir.ingest.sources.source import Item, Source
from cbir.model.errors import ImageError, ModelError
from cbir.model.kind import Kind
from cbir.model.preprocessing import Preprocessing
from cbir.model.registry import kind_of, usual_encoder
from cbir.model.suited import Look, Traits, look, possible_traits, traits, validated_side

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
    step = max(1, -(-len(source) // _SAMPLED))
    looks: list[Look] = []
    pixels: dict[int, Mapping[Preprocessing, np.ndarray]] = {}
    hashes: dict[int, str] = {}
    examine = partial(_examine, kind=kind, size=size, keep_pixels=keep_pixels)
    items = islice(source.items(), 0, None, step)
    with closing(ordered_map(examine, items)) as sampled:
        for number, (looked, prepared, sha256) in enumerate(sampled):
            looks += [] if looked is None else [looked]
            pixels[number * step] = prepared
            if sha256 is not None:
                hashes[number * step] = sha256
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


def _examine(
    item: Item, kind: Kind | None, size: int | None, keep_pixels: bool
) -> tuple[Look | None, dict[Preprocessing, np.ndarray], str | None]:
    """Return what a picture looks like, its pixels under every preprocessing that may be chosen, and its hash."""
    prepared: dict[Preprocessing, np.ndarray] = {}
    try:
        picture, sha256 = opened(item)
        looked = look(picture)
    except ImageError:
        return None, prepared, None
    for possible in possible_traits(looked) if keep_pixels else ():
        preprocessing = (kind or kind_of(usual_encoder(possible))).preprocessing(possible.input(size))
        if preprocessing not in prepared:
            with suppress(ImageError):
                prepared[preprocessing] = preprocessing.pixels(picture)
    return looked, prepared, sha256
