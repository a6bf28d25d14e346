"""Lattice, winsorize and the mean of the nearest rows."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.base import PurifierSpec, Unsuitable
from defenses.lattice import LatticeSpec
from defenses.nearest_neighbors_mean import NearestNeighborsMeanSpec
from defenses.winsorize import WinsorizeSpec
from models.batch import Array, InputSpec

NAN = np.nan


def table(dtype: str = "float64", columns: int = 3, missing: bool = False) -> InputSpec:
    return InputSpec("table", np.dtype(dtype), (columns,), None, missing=missing)


def reference() -> Array:
    """One of three codes; whole numbers of a wide range; real numbers."""
    rng = np.random.default_rng(0)
    return np.stack([rng.choice([0.0, 1.0, 5.0], 600), rng.integers(0, 10**6, 600), rng.random(600)], axis=1)


def test_lattice_snaps_codes_rounds_whole_numbers_and_leaves_the_rest() -> None:
    spec, x = table(), reference()
    lattice = LatticeSpec().build(spec, LatticeSpec().fit(x, spec))
    pure = lattice.apply(np.array([[3.2, 17.4, 0.123], [0.5, -3.0, 7.5], [99.0, 2.0, NAN]]))
    assert np.array_equal(pure, [[5.0, 17.0, 0.123], [0.0, -3.0, 7.5], [5.0, 2.0, NAN]], equal_nan=True)
    assert np.array_equal(lattice.apply(x), x)


def test_lattice_of_a_constant_column_is_that_value() -> None:
    spec = table(columns=1)
    lattice = LatticeSpec().build(spec, LatticeSpec().fit(np.full((9, 1), 2.5), spec))
    assert lattice.apply(np.array([[1.0], [3.0], [NAN]])).ravel()[:2].tolist() == [2.5, 2.5]


def test_a_column_that_hardly_repeats_has_no_lattice() -> None:
    spec = table(columns=1)
    arrays = LatticeSpec(most=1000).fit(np.random.default_rng(0).random((300, 1)), spec)
    assert LatticeSpec(most=1000).build(spec, arrays).apply(np.array([[0.1234]])) == 0.1234


def test_winsorize_pulls_in_to_values_that_were_there() -> None:
    spec, x = table("int64", 1), np.arange(101)[:, None]
    pure = WinsorizeSpec(share=0.05).build(spec, WinsorizeSpec(share=0.05).fit(x, spec))
    assert pure.apply(np.array([[-7], [50], [1000]])).tolist() == [[5], [50], [95]]


def test_a_column_that_was_never_known_has_no_limits() -> None:
    spec = table(columns=2, missing=True)
    x = np.array([[NAN, 1.0], [NAN, 2.0], [NAN, NAN]])
    pure = WinsorizeSpec(share=0.0).build(spec, WinsorizeSpec(share=0.0).fit(x, spec))
    assert np.array_equal(pure.apply(np.array([[7.0, 9.0], [NAN, NAN]])), [[7.0, 2.0], [NAN, NAN]], equal_nan=True)


def test_the_mean_of_the_nearest_rows_in_standard_units() -> None:
    spec = table(columns=2)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1000.0], [1.0, 1000.0]])
    method = NearestNeighborsMeanSpec(k=2)
    nearest = method.build(spec, method.fit(x, spec))
    assert np.allclose(nearest.apply(np.array([[0.5, 100.0], [0.1, 500.0]])), [[0.5, 0.0], [0.0, 500.0]])


def test_a_missing_value_is_at_no_distance_and_stays_missing() -> None:
    spec = table(columns=2, missing=True)
    x = np.array([[0.0, 5.0], [1.0, 7.0]])
    method = NearestNeighborsMeanSpec(k=1)
    pure = method.build(spec, method.fit(x, spec)).apply(np.array([[0.9, NAN], [NAN, 5.5]]))
    assert np.allclose(pure, [[1.0, NAN], [NAN, 5.0]], equal_nan=True)


def test_fewer_rows_than_neighbors_are_refused() -> None:
    with pytest.raises(Unsuitable, match=r"at least `k` \(5\) reference rows, found 2"):
        NearestNeighborsMeanSpec().fit(np.zeros((2, 3)), table())


@pytest.mark.parametrize("spec", [LatticeSpec(), WinsorizeSpec(), NearestNeighborsMeanSpec()])
def test_what_learns_must_be_fitted(spec: PurifierSpec) -> None:
    with pytest.raises(Unsuitable, match="fit it first"):
        spec.build(table())
