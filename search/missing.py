"""Hits whose pictures are not there any more: files that were deleted or moved after they were stored.

In: where a hit's picture was. Out: whether it still is. A search does not need
the file, so that only whoever shows it notices.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cbir.core.uris import is_absolute


def is_missing(place: str, roots: Iterable[str]) -> bool:
    """Tell whether a picture's file is gone from a folder that is there.

    Parameters
    ----------
    place : str
        As `cbir.search.places.located_places` has it.
    roots : iterable of str
        The collection's folders and archives: below one that is not there, as on a disk that is not mounted or on
        another machine, nothing is missing. Nor is what cannot be told: a dataset's picture, an address, a file in an
        archive or in a folder that may not be entered.
    """
    if not is_absolute(place):
        return False
    try:
        os.lstat(place)
    except FileNotFoundError:
        above = [root for root in roots if place.startswith(os.path.join(root, ""))]  # noqa: PTH118 - keeps "/"
        return any(Path(root).is_dir() for root in above)
    except (OSError, ValueError):
        return False
    return False


def present_first(places: Sequence[str], roots: Iterable[str]) -> list[str]:
    """Return the places of a content with those first that are not missing; otherwise in their order."""
    known = list(roots)
    return sorted(places, key=lambda place: is_missing(place, known)) if len(places) > 1 else list(places)
