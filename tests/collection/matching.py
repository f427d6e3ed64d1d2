"""What a filter means, in plain Python: what both engines are held against."""

import math
from datetime import UTC, datetime
from typing import Any

from cbir.collection.fields import is_path
from cbir.collection.filter import AllOf, Among, AnyOf, Between, Exists, Filter, Like, Not, Within
from cbir.collection.patterns import compiled
from cbir.core.uris import folder_and_name

EARTH = 6_371_008.8


def matches(condition: Filter, payload: dict[str, Any]) -> bool:
    match condition:
        case AllOf(filters):
            return all(matches(each, payload) for each in filters)
        case AnyOf(filters):
            return any(matches(each, payload) for each in filters)
        case Not(negated):
            return not matches(negated, payload)
        case Exists(field):
            return payload.get(field) not in (None, [])  # a list of nothing but null is there, in both engines
        case Among(field, allowed):
            return any(same(value, each) for value in everywhere(payload, field) for each in allowed)
        case Like(field, pattern):
            found = compiled(pattern, path=is_path(field)).fullmatch
            return any(isinstance(value, str) and found(value) for value in everywhere(payload, field))
        case Between(field):
            return any(between(condition, value) for value in values_of(payload, field))
        case Within(field):
            return any(near(condition, value) for value in values_of(payload, field))


def values_of(payload: dict[str, Any], field: str) -> list[Any]:
    value = payload.get(field)
    return [each for each in (value if isinstance(value, list) else [value]) if each is not None]


def everywhere(payload: dict[str, Any], field: str) -> list[Any]:
    """Return a field's values of a point and of its copies."""
    found = values_of(payload, field)
    for copy in payload.get("copies", []):
        folder, name = folder_and_name(copy["uri"])
        found += [value for key, value in {**copy, "folder": folder, "name": name}.items() if key == field]
    return found


def same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and value == wanted


def between(condition: Between, value: Any) -> bool:
    if condition.timed:
        if not isinstance(value, str):
            return False
        return in_order({name: moment(bound) for name, bound in condition.bounds.items()}, moment(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    bounds = {name: None if bound is None else float(bound) for name, bound in condition.bounds.items()}
    return in_order(bounds, float(value))


def in_order(bounds: dict[str, Any], value: Any) -> bool:
    if value is None:
        return False
    least, above, most, below = (bounds[name] for name in ("least", "above", "most", "below"))
    return (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
    )


def moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def near(condition: Within, value: Any) -> bool:
    return isinstance(value, dict) and meters(condition, value) <= condition.meters


def meters(condition: Within, value: dict[str, float]) -> float:
    """Return the distance on the sphere, by the haversine formula."""
    one, other = math.radians(condition.latitude), math.radians(value["lat"])
    across = math.radians(value["lon"] - condition.longitude)
    chord = math.sin((other - one) / 2) ** 2 + math.cos(one) * math.cos(other) * math.sin(across / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(chord)))
