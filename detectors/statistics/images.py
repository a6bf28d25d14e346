"""What pixels look like to their neighbors, as figures.

`noise`: how much 3x3 patches vary along each of their own axes, all channels together, as logarithms of the
eigenvalues of their covariance: noise fills the axes that a natural image leaves empty (Pyatykh, Hesser, Zheng: Image
Noise Level Estimation by Principal Component Analysis, IEEE TIP 2013). `residuals`: the size of what local smoothing,
differences and a Haar wavelet leave over, after Fridrich, Kodovsky: Rich Models for Steganalysis (IEEE TIFS 2012).
`values`: level, histogram and number of distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defenses.axes import channel_axis
from detectors.base import Unsuitable
from detectors.statistics.pixels import Pixels
from detectors.statistics.sizes import names, sizes
from detectors.statistics.values import VALUES, values
from models.batch import Array, InputSpec

_LEAST = 5  # rows and columns of pixels
_MOST_CHANNELS = 4  # of more, `noise` looks at the mean
_PATCHES = 16384  # a row, about; more tell no more
_EMPTY = np.float32(1e-7)  # variance: below an 8-bit step's rounding
_MAPS = ("median residual", "mean residual", "horizontal difference", "vertical difference", "diagonal detail")


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """`looks` name the kinds of statistics and each of them, in order; `pixels` brings values to [0, 1]."""

    pixels: Pixels
    channels: int
    size: int  # values

    @staticmethod
    def of(spec: InputSpec, pixels: Pixels) -> ImageStatistics:
        """Those of this input.

        Raises:
            Unsuitable: its pictures are too small.
        """
        channel = channel_axis(spec)
        space = [size for axis, size in enumerate(spec.shape, 1) if axis != channel]
        if len(space) != 2 or min(space) < _LEAST:
            shape = "x".join(map(str, spec.shape))
            raise Unsuitable(f"statistics of images need {_LEAST}x{_LEAST} pixels or more; rows are {shape}")
        return ImageStatistics(pixels, 1 if channel is None else spec.shape[channel - 1], spec.size)

    @property
    def looks(self) -> dict[str, tuple[str, ...]]:
        """The statistics' names by look."""
        axes = 9 * (self.channels if self.channels <= _MOST_CHANNELS else 1)
        return {
            "noise": tuple(f"patch variance along axis {i + 1} of {axes}" for i in range(axes)),
            "residuals": names(_MAPS),
            "values": VALUES,
        }

    def __call__(self, x: Array) -> Array:
        """(n, statistics) float32 of guarded rows."""
        cube = self.pixels(x)
        flat = cube.reshape(len(x), self.size)
        return np.concatenate([_noise(cube), sizes(_maps(cube)), values(flat)], axis=1)


def _noise(x: Array) -> Array:
    """(n, 9 channels) logarithms of the eigenvalues of patches' covariance, ascending."""
    if x.shape[1] > _MOST_CHANNELS:
        x = x.mean(axis=1, keepdims=True)
    n, channels, height, width = x.shape
    step = max(1, round((height * width / _PATCHES) ** 0.5))
    down, right = height - 2, width - 2
    patches = np.empty((n, channels, 9, -(-down // step), -(-right // step)), dtype=np.float32)
    for place in range(9):
        i, j = divmod(place, 3)
        patches[:, :, place] = x[:, :, i : i + down : step, j : j + right : step]
    flat = patches.reshape(n, channels * 9, patches.shape[3] * patches.shape[4])
    flat -= flat.mean(axis=2, keepdims=True)
    covariance = np.matmul(flat, flat.transpose(0, 2, 1))
    covariance *= np.float32(1.0 / flat.shape[2])
    spread: Array = np.linalg.eigvalsh(covariance)
    np.maximum(spread, 0.0, out=spread)
    spread += _EMPTY
    return np.asarray(np.log(spread, out=spread))


def _maps(x: Array) -> Array:
    """(n, 5, values) absolute residuals and differences, of all pixels that have neighbors on each side.

    Planes are worked on as flat lines, in which a neighbor is some places on: long runs are several times faster than
    rows of pixels. What wraps around at the ends of rows is cut off at last.
    """
    n, channels, height, width = x.shape
    lines = x.reshape(n, channels, height * width)
    long = (height - 2) * width - 2
    middle, left = lines[..., width + 1 : width + 1 + long], lines[..., width : width + long]
    above, corner = lines[..., 1 : 1 + long], lines[..., :long]
    maps = np.empty((n, 5, channels, long + 2), dtype=np.float32)
    whole = maps[..., :long]
    median, mean = _smoothed(lines, width)
    np.subtract(middle, median, out=whole[:, 0])
    np.subtract(middle, mean, out=whole[:, 1])
    np.subtract(middle, left, out=whole[:, 2])
    np.subtract(middle, above, out=whole[:, 3])
    np.subtract(whole[:, 2], above, out=whole[:, 4])
    whole[:, 4] += corner
    cut = maps.reshape(n, 5, channels, height - 2, width)[..., :-2]
    return np.asarray(np.abs(cut).reshape(n, 5, channels * (height - 2) * (width - 2)))


def _smoothed(lines: Array, width: int) -> tuple[Array, Array]:
    """Median and mean of each 3x3 window. Columns are sorted once for the three windows that they are in."""
    a, b, c = lines[..., : -2 * width], lines[..., width:-width], lines[..., 2 * width :]
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle = np.maximum(low, np.minimum(high, c))
    np.minimum(low, c, out=low)
    np.maximum(high, c, out=high)
    lows = np.maximum(low[..., :-2], low[..., 1:-1])
    np.maximum(lows, low[..., 2:], out=lows)
    highs = np.minimum(high[..., :-2], high[..., 1:-1])
    np.minimum(highs, high[..., 2:], out=highs)
    median = _middle(lows, _middle(middle[..., :-2], middle[..., 1:-1], middle[..., 2:]), highs)
    total = a + b
    total += c
    mean = total[..., :-2] + total[..., 1:-1]
    mean += total[..., 2:]
    mean *= np.float32(1.0 / 9.0)
    return median, mean


def _middle(a: Array, b: Array, c: Array) -> Array:
    """The median of three."""
    low = np.minimum(a, b)
    high = np.maximum(a, b)
    np.minimum(high, c, out=high)
    return np.asarray(np.maximum(low, high, out=low))
