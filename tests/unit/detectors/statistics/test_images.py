"""Against scipy's filters and numpy's covariance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from detectors.base import Unsuitable
from detectors.statistics.images import ImageStatistics
from detectors.statistics.pixels import Pixels
from models.batch import Array, Bounds, InputSpec

RNG = np.random.default_rng(0)
SPEC = InputSpec("image", np.dtype("float32"), (3, 9, 11), Bounds(0.0, 1.0), "NCHW")
X = (RNG.integers(0, 256, (5, 3, 9, 11)) / 255).astype(np.float32)


def figures(x: Array, spec: InputSpec) -> dict[str, float]:
    """Of the first row, by name."""
    statistics = ImageStatistics.of(spec, Pixels.fit(x, spec))
    names = [name for look in statistics.looks.values() for name in look]
    row = statistics(x)[0]
    assert len(row) == len(names)
    return dict(zip(names, row.tolist(), strict=True))


def inner(x: Array) -> Array:
    return np.asarray(x[:, 1:-1, 1:-1])


def test_sizes_of_residuals() -> None:
    found, x = figures(X, SPEC), X[0].astype(np.float64)
    residual = inner(np.abs(x - ndimage.median_filter(x, size=(1, 3, 3))))
    assert found["mean size of the median residual"] == pytest.approx(np.log(residual.mean() + 1e-4), rel=1e-4)
    assert found["share not zero of the median residual"] == pytest.approx((residual > 2e-4).mean())
    smooth = inner(np.abs(x - ndimage.uniform_filter(x, size=(1, 3, 3))))
    assert found["rms of the mean residual"] == pytest.approx(np.log(np.sqrt((smooth**2).mean()) + 1e-4), rel=1e-4)
    across = np.abs(np.diff(x, axis=2))[:, 1:-1, :-1]
    ordered = np.sort(across.ravel())
    middle, high = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    assert found["median size of the horizontal difference"] == pytest.approx(np.log(middle + 1e-3), rel=1e-4)
    assert found["90 % quantile of the horizontal difference"] == pytest.approx(np.log(high + 1e-3), rel=1e-4)
    detail = np.abs(x[:, 1:, 1:] - x[:, :-1, 1:] - x[:, 1:, :-1] + x[:, :-1, :-1])[:, :-1, :-1]
    assert found["mean size of the diagonal detail"] == pytest.approx(np.log(detail.mean() + 1e-4), rel=1e-4)


def test_noise_is_the_spectrum_of_patches() -> None:
    found, x = figures(X, SPEC), X[0].astype(np.float64)
    windows = np.stack([x[:, i : i + 7, j : j + 9].reshape(3, -1) for i in range(3) for j in range(3)], axis=1)
    spread = np.linalg.eigvalsh(np.cov(windows.reshape(27, -1), bias=True))
    noise = [value for name, value in found.items() if name.startswith("patch variance")]
    assert np.allclose(noise, np.log(np.maximum(spread, 0.0) + 1e-7), atol=1e-2)


def test_values() -> None:
    found, x = figures(X, SPEC), X[0].ravel()
    assert found["mean value"] == pytest.approx(x.mean(), rel=1e-5)
    assert found["spread of values"] == pytest.approx(x.std(), rel=1e-4)
    assert found["share at the upper bound"] == pytest.approx((x == 1.0).mean())
    shares = [value for name, value in found.items() if name.startswith("share of values")]
    counts, _ = np.histogram(np.rint(x * 255), bins=np.arange(0, 257, 16))
    assert np.allclose(shares, np.sqrt(counts / x.size), atol=1e-6)
    assert found["number of distinct values"] == pytest.approx(len(np.unique(x)) / 256)


@pytest.mark.parametrize("kind", ["NHWC", "uint8", "float64", "no bounds"])
def test_layout_and_type_change_nothing(kind: str) -> None:
    known = ImageStatistics.of(SPEC, Pixels.fit(X, SPEC))(X)
    x, spec = X, SPEC
    if kind == "NHWC":
        x, spec = (
            np.ascontiguousarray(np.moveaxis(X, 1, 3)),
            InputSpec("image", X.dtype, (9, 11, 3), SPEC.bounds, "NHWC"),
        )
    elif kind == "uint8":
        x, spec = np.rint(X * 255).astype(np.uint8), InputSpec("image", np.dtype(kind), SPEC.shape, Bounds(0, 255))
    elif kind == "float64":
        x = X.astype(np.float64)
    else:
        x, spec = X * 7.0 - 3.0, InputSpec("image", X.dtype, SPEC.shape, None, "NCHW")
        assert all(X[:, channel].min() == 0.0 and X[:, channel].max() == 1.0 for channel in range(3))
    assert np.allclose(ImageStatistics.of(spec, Pixels.fit(x, spec))(x), known, atol=2e-3)


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 6, 5), (6, 8, 8)])
def test_any_number_of_channels(shape: tuple[int, ...]) -> None:
    spec = InputSpec("image", np.dtype("float32"), shape, Bounds(0.0, 1.0), "NCHW")
    x = RNG.random((4, *shape)).astype(np.float32)
    statistics = ImageStatistics.of(spec, Pixels.fit(x, spec))
    assert statistics(x).shape == (4, sum(map(len, statistics.looks.values())))
    assert np.allclose(statistics(x[2:3]), statistics(x)[2:3], atol=1e-4)


def test_large_images_are_sampled() -> None:
    spec = InputSpec("image", np.dtype("float32"), (1, 600, 400), Bounds(0.0, 1.0), "NCHW")
    x = RNG.random((1, 1, 600, 400)).astype(np.float32)
    noise = ImageStatistics.of(spec, Pixels.fit(x, spec))(x)[0, :9]
    assert np.allclose(noise, np.log(1 / 12), atol=0.1)


def test_nothing_that_is_missing_or_infinite_breaks_it() -> None:
    x = X.copy()
    x[0, 0, :4] = np.nan
    x[1], x[2] = np.inf, -np.inf
    assert np.isfinite(ImageStatistics.of(SPEC, Pixels.fit(X, SPEC))(x)).all()


def test_tiny_pictures_are_refused() -> None:
    spec = InputSpec("image", np.dtype("float32"), (1, 4, 30), Bounds(0.0, 1.0), "NCHW")
    with pytest.raises(Unsuitable, match="need 5x5 pixels or more; rows are 1x4x30"):
        ImageStatistics.of(spec, Pixels.fit(X, SPEC))
