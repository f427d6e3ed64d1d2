"""Which files an assistant may have read: those below the roots of the collections, wherever links lead.

In: a path that an assistant names, or that a stored point has. Out: the file's real path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.core.uris import is_absolute, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cbir.collection.metadata import Metadata


class RefusedError(CbirError):
    """A path that an assistant may not have read."""


def roots_of(collections: Iterable[Metadata]) -> list[str]:
    """Return the folders and archives that collections were filled from, each once.

    Of files that were listed one by one, the root is that of the file system, and says nothing.
    """
    roots = (root for metadata in collections for root in metadata.roots.values())
    return [root for root in dict.fromkeys(roots) if os.path.dirname(root) != root]  # noqa: PTH120 - as text


def permitted(path: str, roots: Iterable[str]) -> str:
    """Return the real path of a file below one of the roots.

    Parameters
    ----------
    path : str
        Absolute.
    roots : iterable of str

    Raises
    ------
    RefusedError
        It is not below them, or is no path.
    """
    known = list(roots)
    if not is_absolute(path) or not os.path.isabs(path) or "\0" in path:  # noqa: PTH117 - as text
        raise RefusedError(f"'{shown(path)}' is no absolute path")
    real = os.path.realpath(path)
    if not any(_is_below(real, os.path.realpath(root)) for root in known):
        there = f"it may be in {', '.join(map(shown, known))}" if known else "no collection was filled from a folder"
        raise RefusedError(f"'{shown(path)}' is not below the folders of a collection; {there}")
    return real


def _is_below(real: str, root: str) -> bool:
    return real == root or real.startswith(os.path.join(root, ""))  # noqa: PTH118 - as text
