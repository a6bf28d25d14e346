"""Any grid that a type resolves well is found, whatever its offset and step; no continuum is taken for one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.lattice import find

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    log_step=st.floats(-4.0, 4.0),
    offset=st.floats(-20.0, 20.0),
    levels=st.integers(20, 300),
    double=st.booleans(),
)
def test_a_grid_is_found(seed: int, log_step: float, offset: float, levels: int, double: bool) -> None:
    step = 10.0**log_step
    k = np.random.default_rng(seed).integers(0, levels, 3000)
    values = ((k + offset) * step).astype(np.float64 if double else np.float32)
    found = find(values, values.dtype)
    assert found is not None
    t = (values.astype(float) - found.origin) / found.step
    assert np.abs(t - np.rint(t)).max() < 0.5 * found.tolerance
    assert abs(found.step / step - 1.0) < 1e-3


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, rows=st.integers(200, 3000), double=st.booleans(), shape=st.sampled_from(["normal", "lognormal"]))
def test_a_continuum_is_no_grid(seed: int, rows: int, double: bool, shape: str) -> None:
    values = getattr(np.random.default_rng(seed), shape)(size=rows)
    assert (
        find(values.astype(np.float64 if double else np.float32), np.dtype("float64" if double else "float32")) is None
    )


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, zeros=st.floats(0.5, 0.99))
def test_a_continuum_with_many_zeros_is_no_grid(seed: int, zeros: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(1000) < zeros, 0.0, rng.exponential(size=1000)).astype(np.float32)
    assert find(values, values.dtype) is None
