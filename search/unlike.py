"""Pictures of queries that are unlike what a collection holds: they can be searched, but little can come of it.

In: pictures as the encoder sees them, and how light the backgrounds of the
collection's images are. Out: warnings, once for all pictures of a search.
"""

from collections.abc import Sequence

import numpy as np

from cbir.core.errors import CbirWarning, warn_caller
from cbir.model.border import background
from cbir.search.query import Picture, named

#: Brightness, in [0, 1], by which a query's background must differ from the collection's to be warned of.
_OTHER_BACKGROUND = 0.5
#: Standard deviation of backgrounds that are all alike, at the most. MNIST's and the 8x8 digits have 0.00, photographs
#: 0.23 (500, one each of ImageNet's kinds), and photographs of one kind 0.17 to 0.23 (CIFAR-10).
_UNIFORM = 0.1
#: Difference of channels, in 255, of a picture in one colour: JPEG makes so much.
_ONE_COLOUR = 8
#: Pictures that a warning names.
_NAMED = 3


class QueryWarning(CbirWarning):
    """The query can be searched, but is unlike what the collection holds."""


def warn_of_unlike(
    pictures: Sequence[Picture], pixels: Sequence[np.ndarray], usual: tuple[float, float, int] | None, *, inverted: bool
) -> None:
    """Warn of pictures that the collection's encoder will make little of.

    Parameters
    ----------
    pictures : sequence of path, uri or PIL.Image.Image
    pixels : sequence of ndarray of uint8, each of shape (h, w, c)
        What the encoder sees of them.
    usual : tuple (mean, standard deviation, count) or None
        How light the backgrounds of the collection's images are, in [0, 1].
    inverted : bool
        Dark and light were swapped.
    """
    plain = [bool(seen.min() == seen.max()) for seen in pixels]
    _warn(pictures, plain, "is one plain colour: its", "are one plain colour each: their", "results mean nothing")
    if usual is None or usual[1] > _UNIFORM:  # photographs have backgrounds of all kinds: nothing is unusual
        return
    mean = usual[0]
    brightness = background(np.stack(pixels)) if pixels else np.empty(0)
    advice = "without --invert" if inverted else "with --invert (in Python: invert=True) to swap dark and light"
    for found, other, differs in (
        ("light", "dark", brightness - mean > _OTHER_BACKGROUND),
        ("dark", "light", mean - brightness > _OTHER_BACKGROUND),
    ):
        # Other colours would be no better for being inverted.
        unlike = [
            bool(differing) and not even and _is_of_one_colour(seen)
            for differing, even, seen in zip(differs, plain, pixels, strict=True)
        ]
        rest = f"a {found} background, but the collection's images have a {other} one; search {advice}"
        _warn(pictures, unlike, "has", "have", rest)


def _is_of_one_colour(pixels: np.ndarray) -> bool:
    return bool(np.ptp(pixels.astype(np.int16), axis=2).max() <= _ONE_COLOUR)


def _warn(pictures: Sequence[Picture], unlike: Sequence[bool], of_one: str, of_many: str, rest: str) -> None:
    """Warn once of all pictures that are unlike: by name if it is one, else how many and the first few names."""
    names = [named(picture) for picture, differs in zip(pictures, unlike, strict=True) if differs]
    if len(names) == 1:
        warn_caller(f"{names[0]} {of_one} {rest}", QueryWarning)
    elif names:
        some = ", ".join(dict.fromkeys(names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
        warn_caller(f"{len(names)} of {len(pictures)} queries ({some}) {of_many} {rest}", QueryWarning)
