"""The checksum of a point: whether its vector and its fields are still what cbir stored.

In: points on their way into a collection. Out: their payloads with one private
field more, which is taken off again wherever points are handed out. A file that
was damaged on disk is read by Qdrant without a word; `cbir.collection.damage`
compares.

Of a vector and of the fields there is a CRC-32 each: another tool may change a
point's fields, and then the vector can be checked all the same.
"""

import itertools
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cbir.collection.point import CHECKSUM, Payload, unsigned

#: Hexadecimal digits of each half: of the id and the vector, then of the id and the other fields.
_DIGITS = 8
#: Digits of a number with a fraction that count: JSON's way through a server may change the last ones.
_SIGNIFICANT = 12
_EXACT = 1 << 63
#: As many numbers of a point are tried with the last bit changed.
_TRIED = 4
#: Types whose values come back from Qdrant as they were.
_SIMPLE = frozenset({str, int, bool, type(None)})
_as_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def signed(ids: Sequence[str], vectors: np.ndarray, payloads: Sequence[Payload]) -> list[Payload]:
    """Return the payloads of points, each with its checksum.

    Parameters
    ----------
    ids : sequence of str
    vectors : ndarray of float32, shape (n, d)
    payloads : sequence of dict
        A checksum that one has already is replaced.
    """
    rows = zip(ids, of_vectors(ids, vectors), payloads, strict=True)
    return [{**payload, CHECKSUM: vector + _of_fields(identity, payload)} for identity, vector, payload in rows]


def resigned(identity: str, payload: Payload, stored: Mapping[str, Any] | None) -> Payload:
    """Return a payload that replaces a stored one: the checksum of the vector, which stays, is taken over.

    Parameters
    ----------
    identity : str
    payload : dict
    stored : Mapping or None
        The stored payload, or just its checksum; without one, there will be none.
    """
    before = (stored or {}).get(CHECKSUM)
    if not isinstance(before, str) or len(before) != 2 * _DIGITS:
        return unsigned(payload)
    return {**payload, CHECKSUM: before[:_DIGITS] + _of_fields(identity, payload)}


def of_vectors(ids: Sequence[str], vectors: np.ndarray) -> list[str]:
    """Return the checksum of each id and its vector, of (n, d) float32."""
    rows = np.ascontiguousarray(vectors, "<f4") + np.float32(0)  # -0 becomes 0: some ways to a server lose the sign
    return [
        _hexadecimal(zlib.crc32(row, zlib.crc32(identity.encode()))) for identity, row in zip(ids, rows, strict=True)
    ]


def fields_fit(identity: str, payload: Payload, checksum: str) -> bool:
    """Tell whether a point's fields are those that a checksum was made of.

    Qdrant reads JSON's numbers of 16 digits and more with the last bit wrong at times. Where 12 digits of such a number
    are others then, or all count because it is whole, the point is sound all the same: 3 of 100,000 with coordinates.
    """
    half = checksum[_DIGITS:]
    return _of_fields(identity, payload) == half or any(_of_fields(identity, near) == half for near in _near(payload))


def vector_part(checksum: object) -> str | None:
    """Return what a stored checksum says of the vector; None if it is none."""
    return checksum[:_DIGITS] if isinstance(checksum, str) and len(checksum) == 2 * _DIGITS else None


def _of_fields(identity: str, payload: Payload) -> str:
    payload = unsigned(payload)
    if not _SIMPLE.issuperset(map(type, payload.values())):
        payload = payload | {name: _plain(value) for name, value in payload.items() if type(value) not in _SIMPLE}
    return _hexadecimal(zlib.crc32(_as_text(payload).encode(), zlib.crc32(identity.encode())))


def _plain(value: Any) -> Any:
    """Return a value such that what Qdrant and JSON make of it is written the same."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, int) and -_EXACT <= value < _EXACT:
        return value
    if isinstance(value, (int, float)):
        whole = float(value)
        return int(whole) if whole.is_integer() and abs(whole) < _EXACT else f"{whole:.{_SIGNIFICANT}g}"
    return str(value)


def _near(payload: Payload) -> Iterator[Payload]:
    """Yield payloads whose numbers differ from these in the last bit, where the checksum would be another."""
    near = {number: each for number in _fractions(payload) if len(each := _neighbours(number)) > 1}
    for chosen in itertools.product(*itertools.islice(near.values(), _TRIED)):
        yield _replaced(payload, dict(zip(near, chosen, strict=False)))


def _fractions(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        yield from itertools.chain.from_iterable(map(_fractions, value.values()))
    elif isinstance(value, (list, tuple)):
        yield from itertools.chain.from_iterable(map(_fractions, value))


def _neighbours(number: float) -> list[float]:
    """Return a number, and those beside it that a checksum tells from it."""
    if number.is_integer() and abs(number) < 1e15:  # read exactly
        return [number]
    beside = (number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf))
    return list({_plain(each): each for each in beside}.values())


def _replaced(value: Any, numbers: Mapping[float, float]) -> Any:
    if isinstance(value, float):
        return numbers.get(value, value)
    if isinstance(value, Mapping):
        return {name: _replaced(each, numbers) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(each, numbers) for each in value]
    return value


def _hexadecimal(value: int) -> str:
    return f"{value:0{_DIGITS}x}"
