"""Where collections live: embedded in CBIR_HOME, or on the server that the settings name.

In: settings. Out: an engine. The key of a server comes from `QDRANT_API_KEY`
and goes nowhere but into the connection.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError, CbirWarning, flag

if TYPE_CHECKING:
    from cbir.collection.embedded.engine import EmbeddedEngine
    from cbir.collection.interface import Engine, Metadata
    from cbir.collection.served.engine import ServedEngine
    from cbir.collection.served.layout import Layout
    from cbir.core.settings import Settings
    from cbir.model.bundle import Bundle


def engine(where: Settings, layout: Layout | None = None) -> Engine:
    """Return the engine that the settings name; close it.

    Raises
    ------
    CbirError
        A URL that cannot be, or a layout for an embedded collection.
    """
    if where.qdrant_url is not None:
        return served(where, layout)
    if layout is not None and layout.chosen:
        options = ", ".join(flag(name) for name in layout.chosen)
        raise CbirError(f"{options}: only a server does that; name one with --qdrant-url or QDRANT_URL")
    return embedded(where)


def embedded(where: Settings, *, patience: float = 10.0) -> EmbeddedEngine:
    """Return the embedded engine, whatever server is named."""
    from cbir.collection.embedded.engine import EmbeddedEngine

    return EmbeddedEngine(where.collections, patience=patience)


def served(where: Settings, layout: Layout | None = None) -> ServedEngine:
    """Return the server's engine.

    Raises
    ------
    CbirError
        No server is named, or its URL cannot be.
    """
    if where.qdrant_url is None:
        raise CbirError("name the server with --qdrant-url or QDRANT_URL, such as http://localhost:6333")
    from cbir.collection.served.address import address
    from cbir.collection.served.engine import ServedEngine
    from cbir.collection.served.server import Server

    server = Server(address(where.qdrant_url), os.environ.get("QDRANT_API_KEY"))
    return ServedEngine(server, where.locks, layout=layout)


def named(engine: Engine, collection: str | None) -> str:
    """Return the collection that was named, or else the `default`."""
    return default(engine) if collection is None else collection


def default(engine: Engine) -> str:
    """Name the only collection of a home, else the one ingested last.

    Raises
    ------
    CbirError
        If there is none.
    """
    from cbir.collection.interface import CollectionError

    updated = {}
    for name in engine.names():
        # A damaged one must not stand in the way of the others.
        with suppress(CollectionError):
            updated[name] = engine.metadata(name).updated
    if not updated:
        raise CbirError(f"there is no collection yet in {engine.location}; make one with: cbir ingest")
    return max(updated, key=lambda name: updated[name])


def warn_of_unused(layout: Layout, name: str, engine: Engine) -> None:
    """Say that a layout is for new collections, if this one is there already."""
    if layout.chosen and name in engine.names():
        warnings.warn(
            f"{', '.join(layout.chosen)} not used: collection '{name}' exists; change it through Qdrant's own "
            "interface, or build it anew (cbir ingest --retrain)",
            CbirWarning,
            stacklevel=3,
        )


def model(where: Settings, name: str, metadata: Metadata) -> Bundle:
    """Read the model that a collection was filled by.

    Raises
    ------
    CbirError
        It is not on this machine, or damaged.
    """
    from cbir.model.bundles import bundle_of

    return bundle_of(where.models, name, metadata.model, metadata.fingerprint)


def kind(where: Settings, name: str, engine: Engine) -> str | None:
    """Name the kind of encoder that filled a collection; None if there is no such collection, or no telling."""
    if name not in engine.names():
        return None
    with suppress(CbirError):
        return model(where, name, engine.metadata(name)).kind
    return None
