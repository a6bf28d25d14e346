from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.explaining.sample import MOST_BYTES, QUANTILES, Sample
from models.batch import Array, Bounds, InputSpec

TABLE = InputSpec("table", np.dtype("float32"), (3,), columns=("a", "b", "c"))


def table(n: int = 500) -> Array:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=n), 1000 * rng.normal(size=n), np.ones(n)]).astype(np.float32)


def test_the_nearest_rows_are_the_nearest_ones_in_columns_of_any_unit() -> None:
    x = table()
    sample = Sample.take(x, None, TABLE, 400, seed=0)
    assert sample is not None
    row = np.array([0.1, 50.0, 1.0], np.float32)
    near = sample.nearest(row, 3)
    half = np.quantile(x, 0.75, axis=0) - np.quantile(x, 0.25, axis=0)
    half[2] = 1.0
    expected = np.sort(np.sqrt(np.mean(((x[sample.rows] - row) / half) ** 2, axis=1)))[:3]
    np.testing.assert_allclose([one.distance for one in near], expected, rtol=1e-4)
    np.testing.assert_array_equal(sample.x[near[0].index], x[near[0].row])
    assert near[0].label is None


def test_classes_are_shown_alike_often() -> None:
    y = np.array([0] * 480 + [1] * 15 + [2] * 5)
    sample = Sample.take(table(), y, TABLE, 60, seed=0)
    assert sample is not None
    assert np.bincount(sample.y).tolist() == [40, 15, 5]
    np.testing.assert_array_equal(y[sample.rows], sample.y)


def test_quantiles_are_of_all_rows_and_leave_missing_values_out() -> None:
    x = table()
    x[:100, 0] = np.nan
    x[:, 2] = np.nan
    sample = Sample.take(x, None, TABLE, 10, seed=0)
    assert sample is not None
    np.testing.assert_allclose(sample.quantiles[:, 0], np.quantile(x[100:, 0], QUANTILES), rtol=1e-6)
    assert np.isnan(sample.quantiles[:, 2]).all()
    assert len(sample.nearest(np.array([0.0, 0.0, np.nan], np.float32), 3)) == 3


def test_images_are_few_enough_to_store_and_good_enough_to_look_at() -> None:
    x = np.random.default_rng(0).random((600, 1, 64, 64), np.float32)
    spec = InputSpec("image", np.dtype("float32"), (1, 64, 64), Bounds(0.0, 1.0), "NCHW")
    sample = Sample.take(x, None, spec, 10_000, seed=0)
    assert sample is not None
    assert sample.x.nbytes <= MOST_BYTES
    assert len(sample) == 512
    np.testing.assert_allclose(sample.x.astype(np.float32), x[sample.rows], atol=1 / 1024)
    assert sample.nearest(x[sample.rows[7]], 1)[0].index == 7
    assert 0.3 < sample.typical < 0.5  # uniform noise: sqrt(1/6) apart


def test_what_fits_no_sample_has_nothing_near() -> None:
    words = np.array([["a", "b", "c"]] * 5, object)
    assert Sample.take(words, None, TABLE, 10, seed=0) is None
    assert Sample.take(table(), None, TABLE, 0, seed=0) is None
    sample = Sample.take(table(), None, TABLE, 10, seed=0)
    assert sample is not None
    assert sample.nearest(np.zeros(4, np.float32), 3) == []
    assert sample.nearest(np.array(["a", "b", "c"]), 3) == []


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 3), st.sampled_from(["image", "series", "table"]))
def test_arrays_bring_it_back(n: int, most: int, seed: int, kind: str) -> None:
    spec = InputSpec(kind, np.dtype("float32"), (4,))  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    sample = Sample.take(x, rng.integers(0, 3, size=n), spec, most, seed)
    assert sample is not None
    again = Sample.from_arrays(sample.to_arrays())
    assert len(again) == len(sample) == min(n, most)
    assert len(set(sample.rows.tolist())) == len(sample)
    for name, array in sample.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
    near = again.nearest(x[0], 5)
    assert [one.distance for one in near] == sorted(one.distance for one in near)
    assert again.typical >= 0.0


def test_a_missing_array_is_told() -> None:
    with pytest.raises(KeyError):
        Sample.from_arrays({"x": np.zeros((1, 2))})
