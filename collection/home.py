"""Which engine stores the collections, and which collection is meant where none is named.

In: settings. Out: an engine, embedded in `CBIR_HOME` or on the server that the
settings name. The key of a server comes from `QDRANT_API_KEY` and goes nowhere
but into the connection.
"""

from __future__ import annotations

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from cbir.collection.errors import CollectionError
from cbir.collection.metadata import Metadata
from cbir.core.disk import entries
from cbir.core.errors import CbirWarning, warn_caller
from cbir.core.options import flag

#: Seconds to wait for an embedded collection that another process uses.
BUSY_TIMEOUT = 10.0

#: Seconds that a server is given, in all and for one answer, where what is asked for is one collection of many.
_BRIEFLY, _ONE_ANSWER = 4.0, 5.0
#: Seconds that a server is asked again where somebody waits who can come again: while the collection to work with is
#: being found, and for a request, which holds a place that others need. More would help where a node of a cluster
#: restarts, of which Qdrant says the same as of one that is away for good.
PATIENCE_OF_ASKING = 15.0

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cbir.collection.embedded.engine import EmbeddedEngine
    from cbir.collection.interface import Engine
    from cbir.collection.layout import Layout
    from cbir.collection.served.engine import ServedEngine
    from cbir.core.settings import Settings


def open_engine(settings: Settings, layout: Layout | None = None, *, retry_for: float | None = None) -> Engine:
    """Return the engine that the settings name; close it.

    Parameters
    ----------
    settings : Settings
    layout : Layout, optional
        For collections made here.
    retry_for : float, optional
        Seconds that a server is asked again; by default a minute.

    Raises
    ------
    CollectionError
        A URL that is not valid, or a layout that an embedded collection cannot have.
    """
    if settings.qdrant_url is not None:
        return served_engine(settings, layout, retry_for=retry_for)
    if layout is not None and layout.only_on_a_server:
        options = ", ".join(flag(name) for name in layout.only_on_a_server)
        raise CollectionError(f"{options}: only for a collection on a server; name one with --qdrant-url or QDRANT_URL")
    return embedded_engine(settings, layout)


def embedded_engine(
    settings: Settings, layout: Layout | None = None, *, timeout: float | None = None
) -> EmbeddedEngine:
    """Return the embedded engine, even if the settings name a server.

    Parameters
    ----------
    settings : Settings
    layout : Layout, optional
        For collections made here.
    timeout : float, optional
        Seconds to wait for a collection that another process uses; by default `BUSY_TIMEOUT`.
    """
    from cbir.collection.embedded.engine import EmbeddedEngine

    return EmbeddedEngine(settings.collections, timeout=BUSY_TIMEOUT if timeout is None else timeout, layout=layout)


def served_engine(
    settings: Settings, layout: Layout | None = None, *, patient: bool = True, retry_for: float | None = None
) -> ServedEngine:
    """Return the server's engine.

    Parameters
    ----------
    settings : Settings
    layout : Layout, optional
        For collections made here.
    patient : bool
        Whether a server that fails is asked again for a minute; otherwise for seconds.
    retry_for : float, optional
        For so many seconds.

    Raises
    ------
    CollectionError
        The settings name no server, or its URL is not valid.
    """
    if settings.qdrant_url is None:
        raise CollectionError("name the server with --qdrant-url or QDRANT_URL, such as http://localhost:6333")
    from cbir.collection.served.address import address
    from cbir.collection.served.engine import ServedEngine
    from cbir.collection.served.server import Server

    patience = {} if retry_for is None else {"retry_for": retry_for}
    if not patient:
        patience = {"retry_for": _BRIEFLY, "timeout": _ONE_ANSWER}
    server = Server(address(settings.qdrant_url), os.environ.get("QDRANT_API_KEY"), **patience)
    return ServedEngine(server, settings.locks, layout=layout)


def asked_briefly(engine: Engine) -> AbstractContextManager[None]:
    """Ask a server again for seconds only, not for a minute, while the collection to work with is being found."""
    from cbir.collection.served.engine import ServedEngine

    return engine.server.briefly(PATIENCE_OF_ASKING) if isinstance(engine, ServedEngine) else nullcontext()


def being_filled(settings: Settings) -> list[str]:
    """Return the names of the collections that processes of this machine are filling now, embedded and on servers."""
    from cbir.collection.embedded.card import LOCK
    from cbir.collection.lock import is_held

    locks = {path: path.parent.name for path in settings.collections.glob(f"*/{LOCK}")}
    locks |= {path: path.stem for path in settings.locks.glob("*/*.lock")}
    return [name for path, name in sorted(locks.items()) if is_held(path)]


def other_servers(settings: Settings, known: Sequence[ServedEngine]) -> list[Path]:
    """Return the lock folders of servers on which collections were filled from here, but for the known servers."""
    looked_at = {engine.locks for engine in known}
    return [folder for folder in entries(settings.locks) if folder not in looked_at and any(folder.glob("*.lock"))]


def collection_or_default(engine: Engine, name: str | None) -> str:
    """Return the name that was given, as the collection spells it, or else the `default_collection`."""
    return default_collection(engine, warn=True) if name is None else engine.spelled(name)


def default_collection(engine: Engine, *, warn: bool = False) -> str:
    """Return the name of the only collection of an engine, else of the one ingested last, by somebody who asked for it.

    Parameters
    ----------
    engine : Engine
    warn : bool
        Whether to say which collections cannot be read, any of which might have been the one.

    Raises
    ------
    CollectionError
        There is none, or none that can be read.
    """
    found = engine.all_metadata()
    # A damaged collection must not hide the others.
    filled = {name: (m.ingested, m.updated) for name, m in found.items() if isinstance(m, Metadata)}
    if filled:
        chosen = max(filled, key=lambda name: filled[name])
        for name, failure in found.items() if warn else ():
            if isinstance(failure, CollectionError):
                warn_caller(f"collection '{chosen}' is used; '{name}' cannot be read: {failure}")
        return chosen
    for failure in found.values():
        if isinstance(failure, CollectionError):
            raise failure
    raise CollectionError(f"no collection yet in {engine.location}; make one with: cbir ingest FOLDER")


def keep_layout(engine: Engine, name: str) -> None:
    """Have a collection that replaces this one laid out as it is, but for what the engine's own layout says."""
    from cbir.collection.embedded.engine import EmbeddedEngine
    from cbir.collection.served.engine import ServedEngine

    if not engine.exists(name):
        return
    if isinstance(engine, ServedEngine):
        described = engine.server.call(engine.server.reader.describe, name)
        if described is not None:
            engine.layout = engine.layout.over(described.layout)
    elif isinstance(engine, EmbeddedEngine):
        from cbir.collection.embedded.kept import layout_of

        engine.layout = engine.layout.over(layout_of(engine.folder / name))


def warn_of_unused_layout(
    layout: Layout, name: str, engine: Engine, remedy: str = "rebuild it (cbir ingest --retrain)"
) -> None:
    """Warn that a layout is for new collections, if this one exists; `remedy`: how it gets that."""
    if layout.chosen and engine.exists(name):
        given = [flag(f"no_{option}" if getattr(layout, option) is False else option) for option in layout.chosen]
        warnings.warn(
            f"{', '.join(given)} not used: collection '{name}' exists; {remedy}, or change it with "
            "Qdrant's own interface if it is on a server",
            CbirWarning,
            stacklevel=3,
        )
