"""The models that collections were filled by, read from their bundles."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError

if TYPE_CHECKING:
    from cbir.collection.interface import Engine
    from cbir.collection.metadata import Metadata
    from cbir.core.settings import Settings
    from cbir.model.bundle import Bundle


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
    if not engine.exists(name):
        return None
    with suppress(CbirError):
        return model(where, name, engine.metadata(name)).kind
    return None
