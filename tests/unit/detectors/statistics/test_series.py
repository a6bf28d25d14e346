"""Against the definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from detectors.base import Unsuitable
from detectors.statistics.pixels import Pixels
from detectors.statistics.series import SeriesStatistics
from models.batch import Array, Bounds, InputSpec

RNG = np.random.default_rng(0)
SPEC = InputSpec("series", np.dtype("float32"), (50,), Bounds(0.0, 1.0))
X = RNG.random((4, 50)).astype(np.float32)


def figures(x: Array, spec: InputSpec = SPEC) -> dict[str, float]:
    statistics = SeriesStatistics.of(spec, Pixels.fit(x, spec))
    names = [name for look in statistics.looks.values() for name in look]
    return dict(zip(names, statistics(x)[0].tolist(), strict=True))


def test_sizes_of_differences() -> None:
    found, x = figures(X), X[0].astype(np.float64)
    first, second = np.abs(np.diff(x))[1:], np.abs(np.diff(x, n=2))
    left = np.abs(x - median_filter(x, size=3))[1:-1]
    assert found["mean size of the first difference"] == pytest.approx(np.log(first.mean() + 1e-4), rel=1e-4)
    assert found["mean size of the second difference"] == pytest.approx(np.log(second.mean() + 1e-4), rel=1e-4)
    assert found["mean size of the median residual"] == pytest.approx(np.log(left.mean() + 1e-4), rel=1e-4)


def test_a_tone_is_seen_in_its_octave_and_sticks_out() -> None:
    time = np.arange(50)
    x = X * 0.02 + 0.5
    tone = x + 0.3 * np.sin(2 * np.pi * 9 * time / 50).astype(np.float32)
    plain, found = figures(x), figures(tone)
    gains = {name: found[name] - plain[name] for name in found if name.startswith("energy")}
    assert max(gains, key=lambda name: gains[name]) == "energy in octave 4 of the spectrum"  # 8 to 15 cycles
    assert found["largest spectral residual"] > plain["largest spectral residual"] + 1.0


def test_noise_is_the_spectrum_of_windows() -> None:
    windows = np.lib.stride_tricks.sliding_window_view(X[0].astype(np.float64), 5)
    spread = np.linalg.eigvalsh(np.cov(windows.T, bias=True))
    noise = [value for name, value in figures(X).items() if name.startswith("window")]
    assert np.allclose(noise, np.log(spread + 1e-7), atol=1e-3)


@pytest.mark.parametrize("shape", [(50,), (3, 50), (50, 3), (8,), (1, 8)])
def test_any_number_of_channels(shape: tuple[int, ...]) -> None:
    spec = InputSpec("series", np.dtype("float32"), shape, None)
    x = RNG.normal(size=(6, *shape)).astype(np.float32)
    statistics = SeriesStatistics.of(spec, Pixels.fit(x, spec))
    assert statistics(x).shape == (6, sum(map(len, statistics.looks.values())))
    assert np.allclose(statistics(x[3:4]), statistics(x)[3:4], atol=1e-4)


def test_channels_first_or_last_is_the_same() -> None:
    x = RNG.random((4, 3, 50)).astype(np.float32)
    first = InputSpec("series", np.dtype("float32"), (3, 50), Bounds(0.0, 1.0))
    last = InputSpec("series", np.dtype("float32"), (50, 3), Bounds(0.0, 1.0))
    assert figures(x, first) == pytest.approx(figures(np.ascontiguousarray(x.transpose(0, 2, 1)), last), abs=1e-4)


def test_short_series_are_refused() -> None:
    spec = InputSpec("series", np.dtype("float32"), (7,), None)
    with pytest.raises(Unsuitable, match="need 8 points in time or more; rows are 7"):
        SeriesStatistics.of(spec, Pixels.fit(X[:, :7], spec))
