"""Beside alibi-detect, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.drift.statistics.kolmogorov_smirnov import kolmogorov_smirnov
from detectors.drift.statistics.mmd import mmd

cd = pytest.importorskip("alibi_detect.cd", reason="alibi-detect is not installed")


def test_kolmogorov_smirnov_is_that_of_ksdrift_where_bins_are_values() -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.integers(0, 9, (500, 3)), rng.integers(1, 9, (200, 3))
    told = cd.KSDrift(reference.astype(np.float32)).predict(window.astype(np.float32))["data"]["distance"]
    ours = [
        float(kolmogorov_smirnov(*(np.bincount(part[:, column], minlength=9) for part in (reference, window))))
        for column in range(3)
    ]
    assert ours == pytest.approx(told.tolist(), abs=1e-6)


def test_mmd_is_that_of_mmddrift_but_for_the_diagonal() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 3)), rng.normal(0.7, 1.0, size=(300, 3))
    sigma = np.array([1.0], dtype=np.float32)
    theirs = cd.MMDDrift(x.astype(np.float32), backend="pytorch", sigma=sigma, n_permutations=2)
    told = theirs.predict(y.astype(np.float32), return_distance=True)["data"]["distance"]
    w, phase = rng.normal(size=(3, 8_000)), rng.uniform(0, 2 * np.pi, 8_000)
    ours = mmd(np.cos(x @ w + phase).sum(0), np.array(400), np.cos(y @ w + phase).sum(0), np.array(300))
    assert float(ours) - float(told) == pytest.approx(1 / 400 + 1 / 300, abs=0.01)
