"""Labels that tell pictures apart, and those that do not."""

import pytest

from cbir.collection.point import Label
from cbir.evaluate.labels import tell_apart


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], False),
        ([None], False),
        ([None, None, None], False),
        (["a"], True),
        (["a", "a", "a"], False),
        ([7, "7", 7], False),
        (["a", "a", "b"], True),
        (["a", "a", None], True),
        ([None, None, "a"], True),
        (["a", "b"], True),
    ],
)
def test_two_that_differ_or_of_which_one_is_missing_tell_apart(labels: list[Label | None], expected: bool):
    assert tell_apart(iter(labels)) is expected
