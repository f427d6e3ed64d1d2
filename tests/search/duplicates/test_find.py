"""Exact copies are known by hashes, of which few are held."""

from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.point import ids_of, point_id
from cbir.search.duplicates.find import listed
from tests.collection.sample import METADATA


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=1, max_size=9))
def test_points_with_a_hash_in_common_are_found_and_no_others(tmp_path: Path, hashes: list[str]):
    ids = [point_id("s", str(number)) for number in range(len(hashes))]
    payloads = [{"uri": str(n), **({"sha256": each} if each else {})} for n, each in enumerate(hashes)]
    payloads[0]["copies"] = [{"uri": "elsewhere"}]
    engine = EmbeddedEngine(tmp_path, timeout=0)
    with engine.replacement("c", METADATA) as collection:
        collection.upsert(ids, np.zeros((len(ids), 4), np.float32), payloads)
    with closing(engine.open("c")) as collection:
        found, same, copied = listed(collection, len(ids))
    expected = [{one for one, each in zip(ids, hashes, strict=True) if each == letter} for letter in set(hashes) - {""}]
    assert sorted(ids_of(found)) == sorted(ids)
    assert sorted(map(sorted, same)) == sorted(sorted(points) for points in expected if len(points) > 1)
    assert copied == ids[:1]
