import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.model.codes import ball, codes
from cbir.model.errors import ModelError


@given(st.integers(8, 32).flatmap(lambda bits: st.tuples(st.just(bits), st.integers(0, 2**bits - 1))))
def test_a_code_is_the_leading_bits_read_as_a_number(drawn: tuple[int, int]):
    bits, number = drawn
    feature = np.array([[float(digit) for digit in f"{number:0{bits}b}"] + [1.0, 0.0]], np.float32)
    assert codes(feature, bits) == [number]


@given(st.integers(0, 2**10 - 1), st.integers(0, 10))
def test_a_ball_holds_exactly_the_codes_within_its_radius(code: int, radius: int):
    found = ball(code, 10, radius)
    assert found[0] == code
    assert len(found) == len(set(found))
    assert set(found) == {other for other in range(2**10) if (other ^ code).bit_count() <= radius}


@pytest.mark.parametrize("radius", [-1, 4])
def test_a_ball_too_large_to_look_up_is_refused(radius: int):
    assert len(ball(0, 28, 2)) == 407
    with pytest.raises(ModelError, match="within 0 to 3 bits"):
        ball(0, 28, radius)
