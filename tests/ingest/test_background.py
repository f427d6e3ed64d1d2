"""How light backgrounds are: of shares added up, and of stored points, as numpy says of all values at once."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.ingest.places import Places
from cbir.ingest.store import Statistics, Stored

values = st.lists(st.floats(0, 1, width=32), max_size=9)


def statistics(of: Sequence[float]) -> Statistics | None:
    return (float(np.mean(of)), float(np.std(of)), len(of)) if of else None


@given(st.lists(values, max_size=4))
def test_shares_add_up_to_the_statistics_of_the_whole(shares: list[list[float]]):
    added = sum((Stored(background=statistics(share)) for share in shares), Stored()).background
    expected = statistics([value for share in shares for value in share])
    assert added is expected is None or added == pytest.approx(expected, abs=1e-6)


@given(values)
def test_stored_points_have_the_statistics_of_their_values(of: list[float]):
    with Places() as places:
        contents = [places.expect(f"id {number}", f"content {number}") for number in range(len(of))]
        places.expect("not read yet", "another content")
        places.lit(zip(contents, of, strict=True))
        expected = statistics(of)
        found = places.backgrounds()
        assert found is expected is None or found == pytest.approx(expected, abs=1e-6)
