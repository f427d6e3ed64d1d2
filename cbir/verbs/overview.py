"""List collections and models."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.settings import read_settings

#: Collections of a server that are asked for at once.
_AT_ONCE = 8

if TYPE_CHECKING:
    from cbir.collection.errors import CollectionError
    from cbir.collection.interface import Info
    from cbir.collection.metadata import Metadata
    from cbir.model.bundle import Bundle


@dataclass(frozen=True)
class CollectionSummary:
    """A collection as the overview shows it.

    Attributes
    ----------
    name : str
    path : Path or None
        Its folder; None on a server.
    metadata, info
        None if they cannot be read; `problem` says why.
    problem : str
    """

    name: str
    path: Path | None
    metadata: Metadata | None
    info: Info | None
    problem: str


@dataclass(frozen=True)
class Overview:
    """Collections and models.

    Attributes
    ----------
    home : Path
        `CBIR_HOME`.
    cache : Path
        Downloaded datasets and networks; what is removed there is downloaded again where it is needed.
    location : str
        Where the collections are: a folder, or a server's address.
    providers : list of str
        What onnxruntime runs encoders on, in order of preference (see `CBIR_PROVIDERS`).
    collections : list of CollectionSummary
    models : list of Bundle
    default : str or None
        The collection that is used where none is named.
    """

    home: Path
    cache: Path
    location: str
    providers: list[str]
    collections: list[CollectionSummary]
    models: list[Bundle]
    default: str | None


def overview(*, qdrant_url: str | None = None) -> Overview:
    """Return all collections and models, their sizes, and where they are stored.

    Parameters
    ----------
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    """
    from cbir.collection.errors import CollectionBusyError, CollectionError
    from cbir.core.workers import ordered_map
    from cbir.model.bundles import bundles
    from cbir.model.graph import working_providers

    settings = read_settings(qdrant_url=qdrant_url)
    served = settings.qdrant_url is not None
    with closing(
        # One that cannot be read now, as of a node that is away, should not keep the others waiting.
        home.served_engine(settings, patient=False) if served else home.embedded_engine(settings, timeout=0)
    ) as engine:

        def summary(name: str, found: Metadata | CollectionError) -> CollectionSummary:
            metadata = None if isinstance(found, CollectionError) else found
            info, problem = None, ""
            try:
                info = engine.info(name)
            except CollectionBusyError:
                problem = "in use"
            except CollectionError as error:
                problem = str(error)
            return CollectionSummary(name, None if served else settings.collections / name, metadata, info, problem)

        threads = _AT_ONCE if served else 1
        summaries = list(ordered_map(lambda each: summary(*each), engine.all_metadata().items(), threads=threads))
        default = home.default_collection(engine) if any(s.metadata for s in summaries) else None
        return Overview(
            settings.home,
            settings.cache,
            engine.location,
            working_providers(),
            summaries,
            bundles(settings.models),
            default,
        )
