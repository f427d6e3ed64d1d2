"""Errors of collections, and the sentences that more than one engine says."""

import sys
from collections.abc import Sequence

from cbir.core.errors import CbirError


class CollectionError(CbirError):
    """A collection that is missing, damaged, in use or does not fit."""


class CollectionBusyError(CollectionError):
    """Another process uses the collection."""


class SearcherClosedError(CollectionError):
    """What searches a collection was closed meanwhile: it is made again by whoever asks again."""


class NoSuchCollectionError(CollectionError):
    """No collection has this name."""


class NoSuchPointError(CollectionError):
    """A collection holds no point of this id."""


class UnreadableError(CollectionError):
    """A collection that cannot be read now, here or on a server: it may be sound, and nothing of it may be replaced."""


class NewerFormatError(CollectionError):
    """A collection that a newer cbir wrote: it is not damaged, and nothing of it may be replaced or removed."""


def no_such_collection(name: str, location: str, names: Sequence[str]) -> NoSuchCollectionError:
    """Return the error for a name that no collection has; it lists those there are and says how to make one."""
    there = f"collections: {', '.join(names)}" if names else "no collections yet"
    return NoSuchCollectionError(f"no collection '{name}' in {location} ({there}); make one with: cbir ingest FOLDER")


def already_exists(name: str) -> CollectionError:
    """Return the error for a new collection whose name is taken."""
    return CollectionError(f"collection '{name}' already exists; name another with --collection")


def in_use(name: str) -> CollectionBusyError:
    """Return the error for a collection that another process has open."""
    alone, lent = " (on Windows, also cbir serve has it for itself)", ""
    if sys.platform != "win32":
        alone, lent = "", "beside cbir serve, if that is started first, or "
    return CollectionBusyError(
        f"collection '{name}' is in use by another process{alone}; wait until that ends "
        f"(many processes can use it at once {lent}on a Qdrant server)"
    )
