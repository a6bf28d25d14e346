"""How answers move under noise that is the same for every row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.base import View
from detectors.noise_stability import NoiseStability, NoiseStabilitySpec
from tests import tiny


@pytest.mark.parametrize("measure", ["odds", "change"])
def test_costs_two_passes_a_draw(measure: str) -> None:
    case = tiny.image()
    spec = NoiseStabilitySpec.model_validate({"draws": 3, "measure": measure})
    view = View(case.rows, case.net)
    spec.build(spec.fit(case.reference), case.spec).score(view)
    assert spec.cost == 6.0
    assert view.rows_run == 7 * len(case.rows)


def test_draws_come_in_pairs_that_cancel() -> None:
    case = tiny.series()
    spec = NoiseStabilitySpec(noise=0.2, draws=2)
    detector = spec.build(spec.fit(case.reference), case.spec)
    assert isinstance(detector, NoiseStability)
    by = [noise.by for noise in detector.noises]
    assert np.array_equal(by[0], -by[1])
    assert np.array_equal(by[2], -by[3])
    assert not np.array_equal(by[0], by[2])
    assert set(np.unique(np.abs(by))) == {np.float32(0.2)}


def test_the_seed_of_the_calibration_draws_the_noise() -> None:
    case, spec = tiny.image(), NoiseStabilitySpec()
    first, again, other = (spec.fit(replace(case.reference, seed=seed))["signs"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("case", [tiny.image(dtype="uint8"), tiny.table(missing=True)], ids=["uint8", "missing"])
def test_noise_keeps_type_bounds_and_missing_values(case: tiny.Case) -> None:
    spec = NoiseStabilitySpec(noise=0.3)
    detector = spec.build(spec.fit(case.reference), case.spec)
    assert isinstance(detector, NoiseStability)
    x = case.rows.x
    moved = detector.noises[0].apply(x)
    assert moved.dtype == x.dtype
    assert np.array_equal(np.isnan(moved), np.isnan(x))
    assert not np.array_equal(moved, x, equal_nan=True)
    if case.spec.bounds is not None:
        assert moved.min() >= case.spec.bounds.low
        assert moved.max() <= case.spec.bounds.high


def test_a_change_is_none_where_the_model_is_flat() -> None:
    case = tiny.image()
    flat = replace(case.net, first=np.zeros_like(case.net.first))
    spec = NoiseStabilitySpec(measure="change")
    scores = spec.build(spec.fit(case.reference), case.spec).score(View(case.rows, flat))
    assert np.allclose(scores, 0.0, atol=1e-6)
