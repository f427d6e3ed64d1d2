"""Checksums of points: those that earlier versions stored stay right, or every collection would seem damaged."""

import math
import zlib
from typing import Any

import numpy as np
import pytest

from cbir.collection.checksum import fields_fit, of_vectors, resigned, signed, vector_part
from cbir.collection.point import CHECKSUM
from tests.collection.sample import ids

ID = ids(1)[0]


def crc(content: bytes) -> str:
    return f"{zlib.crc32(ID.encode() + content):08x}"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({}, "{}"),
        (
            {"uri": "münchen\n", "label": 7, "shown": True, "camera": None},
            r'{"camera":null,"label":7,"shown":true,"uri":"m\u00fcnchen\n"}',
        ),
        ({"uri": "u", CHECKSUM: "0123456789abcdef"}, '{"uri":"u"}'),
        # What a server, and JSON, may write in another way.
        ({"a": [1, 2.0, -0.0, 2.5], "z": 1}, '{"a":[1,2,0,"2.5"],"z":1}'),
        ({"a": 0.1 + 0.2, "b": 1 / 3, "c": 1e300}, '{"a":"0.3","b":"0.333333333333","c":"1e+300"}'),
        ({"gps": {"lon": 2.35, "lat": 48, 7: "x"}}, '{"gps":{"7":"x","lat":48,"lon":"2.35"}}'),
        ({"a": [(True, None, "t"), [[]], {}]}, '{"a":[[true,null,"t"],[[]],{}]}'),
        (
            {"a": [2**63 - 1, -(2**63), 2**63, float(2**62), float(2**63), -float(2**63)]},
            '{"a":[9223372036854775807,-9223372036854775808,"9.22337203685e+18",4611686018427387904,'
            '"9.22337203685e+18","-9.22337203685e+18"]}',
        ),
        ({"a": np.float64(2.5), "b": np.int64(3)}, '{"a":"2.5","b":"3"}'),
    ],
)
def test_what_the_checksum_of_fields_is_made_of(payload: dict[str, Any], text: str):
    before = dict(payload)
    (stored,) = signed([ID], np.zeros((1, 4), np.float32), [payload])
    assert payload == before
    assert stored == {**payload, CHECKSUM: crc(bytes(16)) + crc(text.encode())}
    assert fields_fit(ID, payload, stored[CHECKSUM])
    assert not fields_fit(ids(2)[1], payload, stored[CHECKSUM])
    assert not fields_fit(ID, {**payload, "more": 1}, stored[CHECKSUM])


@pytest.mark.parametrize("number", [7701225126158513.0, -(2.0**60), 0.1234567890125, 48.85661234565, 1.5e-9])
def test_a_number_whose_last_bit_a_reader_of_json_changes_is_the_same(number: float):
    fields = {"gps": {"lat": number, "lon": 2.0}, "sizes": [1, 5.0, float(2**55)], "uri": "u", "exposure": 1 / 3}
    (stored,) = signed([ID], np.zeros((1, 4), np.float32), [fields])
    for changed in (math.nextafter(number, math.inf), math.nextafter(number, -math.inf)):
        assert fields_fit(ID, {**fields, "gps": {"lat": changed, "lon": 2.0}}, stored[CHECKSUM])
    for other in (number * 1.001, -number, 0.5, 3):
        assert not fields_fit(ID, {**fields, "gps": {"lat": other, "lon": 2.0}}, stored[CHECKSUM])
    assert not fields_fit(ID, {**fields, "uri": "v"}, stored[CHECKSUM])


def test_the_checksum_of_a_vector_is_that_of_its_floats():
    vectors = np.array([[0, 1, -2.5, 3e7], [-0.0, 1, -2.5, 3e7]], np.float32)
    assert of_vectors([ID, ID], np.asfortranarray(vectors)) == [crc(vectors[0].astype("<f4").tobytes())] * 2
    assert of_vectors(ids(2), vectors) == ["13b3457d", "c1c4274c"]
    with pytest.raises(ValueError, match="zip"):
        signed([ID], vectors, [{}, {}])


def test_a_payload_that_replaces_another_keeps_the_checksum_of_the_vector():
    (before,) = signed([ID], np.ones((1, 4), np.float32), [{"uri": "old"}])
    (after,) = signed([ID], np.ones((1, 4), np.float32), [{"uri": "new"}])
    assert resigned(ID, {"uri": "new"}, before) == after
    assert resigned(ID, {"uri": "new", CHECKSUM: "x"}, before) == after


@pytest.mark.parametrize("checksum", [None, 7, "", "0" * 15, "0" * 17])
def test_of_what_is_no_checksum_none_is_made(checksum: object):
    for stored in ({CHECKSUM: checksum}, {}, None):
        assert resigned(ID, {"uri": "new", CHECKSUM: "x"}, stored) == {"uri": "new"}
    assert vector_part(checksum) is None


def test_the_first_half_of_a_checksum_is_the_vectors():
    assert vector_part("0123456789abcdef") == "01234567"
