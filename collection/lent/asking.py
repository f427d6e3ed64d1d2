"""What an embedded engine asks of the process that lends its collections, if there is one.

In: the folder of embedded collections. Out: a collection, borrowed; one that was let go of; features.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from cbir.collection.lent.borrowed import BorrowedCollection
from cbir.collection.lent.line import LenderGoneError, Line
from cbir.collection.lent.messages import GoneError, packed, unpacked
from cbir.core.errors import CbirError, warn_caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np


def borrowed(collections: Path, name: str) -> BorrowedCollection | None:
    """Borrow a collection from the process that lends; None if there is none.

    Parameters
    ----------
    collections : Path
        The folder of all of them.
    name : str

    Raises
    ------
    CollectionBusyError
        It cannot have it either, or has to let go of it just now.
    CollectionError
        The collection cannot be opened.
    """
    line = Line.to(collections, name)
    if line is None:
        return None
    try:
        return BorrowedCollection(name, line)
    except BaseException:
        line.close()
        raise


@contextlib.contextmanager
def let_go(collections: Path, name: str) -> Iterator[None]:
    """Have the process that lends let go of a collection while the block runs; afterwards it may open it again.

    Raises
    ------
    CollectionBusyError
        Others have borrowed the collection.
    """
    line = Line.to(collections, name)
    if line is None:
        yield
        return
    try:
        with contextlib.suppress(LenderGoneError):  # then it has
            line.ask("let_go", name=name)
        yield
    finally:
        line.close()


def encoded(collections: Path, name: str, fingerprint: str, pixels: np.ndarray) -> np.ndarray | None:
    """Encode pixels in the process that lends, which has the encoder loaded; None where that is not possible.

    Parameters
    ----------
    collections : Path
    name : str
        Of the collection whose encoder it is.
    fingerprint : str
    pixels : ndarray, shape (n, h, w, c)

    Returns
    -------
    ndarray of float32, shape (n, d), or None
    """
    found = _features(collections, name, "encode", [packed(pixels)], fingerprint=fingerprint)
    return None if found is None else found[0]


def encoded_words(collections: Path, name: str, fingerprint: str, texts: Sequence[str]) -> np.ndarray | None:
    """Encode texts in the process that lends, as `encoded` does pixels, and warn of what that warns of.

    Returns
    -------
    ndarray of float32, shape (n, d), or None
    """
    found = _features(collections, name, "encode_words", fingerprint=fingerprint, texts=list(texts))
    if found is None:
        return None
    features, warned = found
    for each in warned or ():
        warn_caller(str(each))
    return features


def _features(
    collections: Path, name: str, what: str, parts: Sequence[bytes] = (), **asked: Any
) -> tuple[np.ndarray, Any] | None:
    """Return features, and what is said of them; None where nobody makes any, an older server for example."""
    try:
        line = Line.to(collections, name)
        if line is None:
            return None
        with contextlib.closing(line):
            said, (features,) = line.ask(what, parts, name=name, **asked)
            return unpacked(features), said
    except (CbirError, OSError, GoneError, ValueError):
        return None
