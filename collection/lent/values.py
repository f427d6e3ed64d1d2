"""What collections take and give, as JSON values and back: filters, hits, pages, metadata, and errors."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cbir.collection import errors
from cbir.collection.damage import Damage
from cbir.collection.errors import CollectionError
from cbir.collection.filter import FilterError, Where, filter_of
from cbir.collection.filter_json import from_json, to_json
from cbir.collection.interface import Info
from cbir.collection.point import Hit
from cbir.core.errors import CbirError

#: Errors that the other end raises again, by name; of others, the nearest of these.
_ERRORS: dict[str, type[CbirError]] = {
    **{name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CbirError)},
    "FilterError": FilterError,
}


def where_to_json(where: Where | None) -> dict[str, Any] | None:
    """Return a filter in any form as JSON values."""
    condition = filter_of(where)
    return None if condition is None else to_json(condition)


def where_from_json(value: object) -> Where | None:
    """Return the filter that JSON values say; FilterError if they say none."""
    return None if value is None else from_json(value)


def hit_to_json(hit: Hit) -> list[Any]:
    """Return a hit as JSON values."""
    return [hit.id, hit.distance, hit.label, hit.uri, hit.payload]


def hit_from_json(value: Sequence[Any]) -> Hit:
    """Return the hit that JSON values say."""
    return Hit(*value)


def damage_to_json(damage: Damage | None) -> dict[str, Any] | None:
    """Return what a check has found, if there was one, as JSON values."""
    return None if damage is None else asdict(damage)


def damage_from_json(value: dict[str, Any]) -> Damage:
    """Return what a check has found."""
    return Damage(**{**value, "vectors": tuple(value["vectors"]), "fields": tuple(value["fields"])})


def info_from_json(value: dict[str, Any]) -> Info:
    """Return a collection's size."""
    return Info(**value)


def error_to_json(error: Exception) -> dict[str, Any]:
    """Return an error as JSON values."""
    if isinstance(error, OSError):
        return {"errno": error.errno, "message": error.strerror or str(error), "file": str(error.filename or "")}
    for kind in type(error).__mro__:
        if _ERRORS.get(kind.__name__) is kind:
            return {"kind": kind.__name__, "message": str(error)}
    return {"kind": "CollectionError", "message": f"the process that lends it: {type(error).__name__}: {error}"}


def error_from_json(value: dict[str, Any]) -> Exception:
    """Return the error that JSON values say."""
    message = str(value.get("message"))
    if "errno" in value:
        return OSError(value["errno"], message, value.get("file") or None)
    return _ERRORS.get(str(value.get("kind")), CollectionError)(message)
