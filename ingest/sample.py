"""A sample of a source's pictures chooses the encoder's input; each of them is opened once.

In: a source. Out: the preprocessing that suits it, and the sampled pictures'
pixels under it, so that learning does not open them again. Until the choice is
made, their pixels are held under each preprocessing that is possible, never the
pictures themselves.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from cbir.core.workers import ordered_map
from cbir.ingest.sources.source import Item, Source
from cbir.model.errors import ImageError
from cbir.model.kind import Kind
from cbir.model.preprocessing import Preprocessing
from cbir.model.suited import Look, look, possible_inputs, suited

#: Pictures opened to choose the encoder's input.
_SAMPLED = 100


@dataclass(frozen=True)
class Sample:
    """What a sample decided.

    Attributes
    ----------
    suited : Preprocessing
        What suits the pictures, whatever the encoder.
    preprocessing : Preprocessing
        The encoder's.
    pixels : Mapping
        Number of a sampled item to its pixels (h, w, c) uint8, None if it cannot be read.
    """

    suited: Preprocessing
    preprocessing: Preprocessing
    pixels: Mapping[int, np.ndarray | None]


def take_sample(source: Source, kind: Kind, size: int | None = None, *, keep_pixels: bool = False) -> Sample:
    """Open some pictures of a source, from all over it, and choose the encoder's input.

    Parameters
    ----------
    source : Source
    kind : Kind
        The encoder: it may need another input than suits the pictures.
    size : int, optional
        The input's height and width; only whether it is grey or colour is left to choose then.
    keep_pixels : bool
        Keep the pixels of the sampled pictures, for learning.

    Returns
    -------
    Sample
    """
    step = max(1, -(-len(source) // _SAMPLED))
    # One picture in colour settles what there is to choose: open no more than that needs.
    settled_by_colour = size is not None and not keep_pixels
    looks: list[Look] = []
    pixels: dict[int, Mapping[Preprocessing, np.ndarray]] = {}
    examine = partial(_examine, kind=kind, size=size, keep_pixels=keep_pixels)
    items, ahead = islice(source.items(), 0, None, step), 0 if settled_by_colour else None
    with closing(ordered_map(examine, items, ahead=ahead)) as sampled:
        for number, (looked, prepared) in enumerate(sampled):
            looks += [] if looked is None else [looked]
            pixels[number * step] = prepared
            if settled_by_colour and looked is not None and not looked.grey:
                break
    fitting = suited(looks, size)
    chosen = kind.preprocessing(fitting)
    return Sample(fitting, chosen, {number: each.get(chosen) for number, each in pixels.items()} if keep_pixels else {})


def _examine(
    item: Item, kind: Kind, size: int | None, keep_pixels: bool
) -> tuple[Look | None, dict[Preprocessing, np.ndarray]]:
    """Return what a picture looks like, and its pixels under every preprocessing that may be chosen."""
    prepared: dict[Preprocessing, np.ndarray] = {}
    try:
        picture = item.open()
        looked = look(picture)
    except ImageError:
        return None, prepared
    for preprocessing in map(kind.preprocessing, possible_inputs(looked, size) if keep_pixels else ()):
        with suppress(ImageError):
            prepared[preprocessing] = preprocessing.pixels(picture)
    return looked, prepared
