import numpy as np
import pytest

from cbir.model.average import average


def test_features_on_the_unit_sphere_stay_there_and_others_do_not_get_there():
    features = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    features[0] /= np.linalg.norm(features[0], axis=-1, keepdims=True)
    unit, other = average(features)
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(unit, features[0].mean(axis=0) / np.linalg.norm(features[0].mean(axis=0)), rtol=1e-5)
    np.testing.assert_allclose(other, features[1].mean(axis=0), rtol=1e-5)


def test_weights_count():
    assert average(np.array([[0.0], [10.0]], np.float32), np.array([3, 1])).tolist() == [2.5]


def test_what_cancels_out_is_no_number_but_zero():
    assert average(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)).tolist() == [0, 0]
