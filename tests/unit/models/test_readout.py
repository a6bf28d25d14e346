"""Logits and features as detectors want them."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import ModelError
from models.readout import to_features, to_logits


def test_logits_are_handed_on_uncopied() -> None:
    logits = np.zeros((2, 3), np.float32)
    assert to_logits(logits, "logits") is logits
    assert to_logits(logits.astype(np.float64), "logits").dtype == np.float32


def test_probabilities_of_zero_have_finite_logarithms() -> None:
    logits = to_logits(np.array([[0.0, 1.0]]), "probabilities")
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(np.exp(logits), [[0, 1]], atol=1e-6)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_one_column_is_the_second_of_two_classes(shape: tuple[int, ...]) -> None:
    column = np.array([0.25, 1.0], np.float32).reshape(shape)
    np.testing.assert_allclose(np.exp(to_logits(column, "probabilities")), [[0.75, 0.25], [0.0, 1.0]], atol=1e-6)
    np.testing.assert_array_equal(to_logits(column, "logits"), [[0.0, 0.25], [0.0, 1.0]])


def test_other_shapes_are_not_logits() -> None:
    with pytest.raises(ModelError, match=r"\(n, classes\)"):
        to_logits(np.zeros((2, 3, 4), np.float32), "logits")


def test_features_are_averaged_between_rows_and_channels() -> None:
    features = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    np.testing.assert_array_equal(to_features(features), features.mean(axis=1))
    assert to_features(features).dtype == np.float32
    flat = np.zeros((2, 4), np.float32)
    assert to_features(flat) is flat
    assert to_features(np.zeros(5)).shape == (5, 1)
