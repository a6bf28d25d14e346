"""What values of a series look like to their neighbors in time, as figures.

`noise`: logarithms of the eigenvalues of the covariance of short windows. `residuals`: the size of first and second
differences and of what a median of three leaves over; energy by octave of the spectrum; and the spectral residual, how
far single frequencies stick out of their surroundings (Ren et al.: Time-series anomaly detection service at Microsoft,
KDD 2019). `values`: histogram, level and number of distinct values. Channels are looked at together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defenses.axes import smooth_axes
from detectors.base import Unsuitable
from detectors.statistics.pixels import Pixels
from detectors.statistics.sizes import names, sizes
from detectors.statistics.values import VALUES, values
from models.batch import Array, InputSpec

_LEAST = 8  # points in time
_WINDOW = 5
_EMPTY = np.float32(1e-7)  # variance, or energy a frequency
_MAPS = ("first difference", "second difference", "median residual")
_AROUND = 2  # frequencies on either side that a spectral residual is measured against


@dataclass(frozen=True, slots=True)
class SeriesStatistics:
    """`looks` name the kinds of statistics and each of them, in order; `pixels` brings values to [0, 1]."""

    pixels: Pixels
    length: int  # points in time
    size: int  # values

    @staticmethod
    def of(spec: InputSpec, pixels: Pixels) -> SeriesStatistics:
        """Those of this input.

        Raises:
            Unsuitable: its series are too short.
        """
        axes = smooth_axes(spec)
        if len(spec.shape) > 2 or spec.shape[axes[0] - 1] < _LEAST:
            shape = "x".join(map(str, spec.shape))
            raise Unsuitable(f"statistics of series need {_LEAST} points in time or more; rows are {shape}")
        return SeriesStatistics(pixels, spec.shape[axes[0] - 1], spec.size)

    @property
    def looks(self) -> dict[str, tuple[str, ...]]:
        """The statistics' names by look."""
        octaves = tuple(f"energy in octave {i + 1} of the spectrum" for i in range(len(_octaves(self.length))))
        return {
            "noise": tuple(f"window variance along axis {i + 1} of {_WINDOW}" for i in range(_WINDOW)),
            "residuals": (*names(_MAPS), *octaves, "largest spectral residual", "spread of the spectral residual"),
            "values": VALUES,
        }

    def __call__(self, x: Array) -> Array:
        """(n, statistics) float32 of guarded rows."""
        lines = self.pixels(x)  # (n, channels, time)
        flat = lines.reshape(len(x), self.size)
        return np.concatenate([_noise(lines), sizes(_maps(lines)), _spectrum(lines), values(flat)], axis=1)


def _noise(lines: Array) -> Array:
    """(n, window) logarithms of the eigenvalues of windows' covariance, ascending."""
    n, channels, length = lines.shape
    windows = np.empty((n, _WINDOW, channels, length - _WINDOW + 1), dtype=np.float32)
    for place in range(_WINDOW):
        windows[:, place] = lines[:, :, place : place + windows.shape[3]]
    flat = windows.reshape(n, _WINDOW, channels * windows.shape[3])
    flat -= flat.mean(axis=2, keepdims=True)
    covariance = np.matmul(flat, flat.transpose(0, 2, 1))
    covariance *= np.float32(1.0 / flat.shape[2])
    return np.asarray(np.log(np.maximum(np.linalg.eigvalsh(covariance), 0.0) + _EMPTY))


def _maps(lines: Array) -> Array:
    """(n, 3, values) absolute differences and residuals."""
    n, channels, length = lines.shape
    before, here, after = lines[..., :-2], lines[..., 1:-1], lines[..., 2:]
    maps = np.empty((n, 3, channels, length - 2), dtype=np.float32)
    np.subtract(after, here, out=maps[:, 0])
    np.subtract(maps[:, 0], here, out=maps[:, 1])
    maps[:, 1] += before
    low, high = np.minimum(before, here), np.maximum(before, here)
    np.subtract(here, np.maximum(low, np.minimum(high, after)), out=maps[:, 2])
    np.abs(maps, out=maps)
    return maps.reshape(n, 3, channels * (length - 2))


def _octaves(length: int) -> Array:
    """The first frequency of each octave, counted from the lowest one."""
    return np.asarray(2 ** np.arange(int(np.log2(length // 2))) - 1)


def _spectrum(lines: Array) -> Array:
    """(n, octaves + 2): energy by octave, and how far frequencies stick out."""
    length = lines.shape[2]
    power = np.abs(np.fft.rfft(lines, axis=2)[:, :, 1 : length // 2 + 1]) ** 2
    mean = power.mean(axis=1) / length + _EMPTY
    octaves = np.log(np.add.reduceat(mean, _octaves(length), axis=1))
    logs = np.log(mean)
    padded = np.pad(logs, ((0, 0), (_AROUND, _AROUND)), mode="edge")
    residual = logs - np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1, axis=1).mean(axis=2)
    sticking = [residual.max(axis=1)[:, None], residual.std(axis=1)[:, None]]
    return np.asarray(np.concatenate([octaves, *sticking], axis=1), dtype=np.float32)
