"""The coordinates that distances are measured in: the model's features, or the standardised input.

Features are split into their direction, of length 1 as Sun, Ming, Zhu, Li (ICML 2022) have it, and the logarithm of
their length as one more coordinate; on attacks that finds far more than raw features do. An input is standardised a
column (tables) or a channel (images, series). More than `MOST` coordinates are folded by a seeded signed sum, which
keeps distances up to a few percent (Charikar, Chen, Farach-Colton: Finding frequent items in data streams, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from defenses.axes import channel_axis
from detectors.base import Reference, Unsuitable, View
from detectors.digest import digest
from models.batch import Array, Arrays, InputSpec

MOST = 1024  # coordinates kept
Reads = Literal["auto", "input", "features"]
_SHORTEST, _LONGEST = np.float32(1e-12), np.float32(3e38)  # features: none is divided by 0 or infinity
_FAR = 1e4  # standard units; no coordinate is farther out, so that squares stay finite in float32


@dataclass(frozen=True, slots=True)
class Space:
    """Maps a view to (n, d) float32 coordinates.

    A missing value counts as the mean, that is 0; features that are no numbers are as far out as can be.

    `mean`, `scale` (values,) standardise; `order`, `sign` (d * k,) fold k values into each of d coordinates, or None.
    """

    features: bool
    mean: Array
    scale: Array
    order: Array | None = None
    sign: Array | None = None
    key: str = field(init=False)  # equal for equal spaces

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"space {digest(self.to_arrays())}")

    @staticmethod
    def fit(reference: Reference, reads: Reads = "auto") -> Space:
        """The space of this model and data: of its features where it has some, or as `reads` says.

        Raises:
            Unsuitable: the model has no features, and its input are token ids, which are no coordinates, or the input
                is not what was asked for.
        """
        features = None if reads == "input" else reference.view.outputs.features
        if features is None and reads == "features":
            raise Unsuitable("`reads: features`: the model has no penultimate features")
        if features is None and reference.spec.kind == "tokens":
            raise Unsuitable("no penultimate features to measure on, and distances between token ids mean nothing")
        raw = reference.view.x if features is None else _split(features)
        mean, scale = _standard(raw, None if features is not None else reference.spec)
        order, sign = _folding(len(mean), reference.seed)
        return Space(features is not None, mean, scale, order, sign)

    def coordinates(self, view: View) -> Array:
        """(n, d) float32, finite; worked out once for all detectors in this space, and not to be written to."""
        return view.once(self.key, lambda: self._coordinates(view))

    def _coordinates(self, view: View) -> Array:
        raw = self._raw(view)
        z = np.subtract(raw, self.mean, dtype=self.mean.dtype)
        z *= self.scale
        if z.dtype != np.float32:
            z = z.astype(np.float32)
        flat = z.ravel()
        if not flat.dot(flat) < _FAR * _FAR:  # else no value is out of bounds, nor NaN
            z = np.nan_to_num(z, copy=False, nan=_FAR if self.features else 0.0, posinf=_FAR, neginf=-_FAR)
            z = np.clip(z, -_FAR, _FAR, out=z)
        if self.order is None or self.sign is None:
            return z
        return np.asarray((z[:, self.order] * self.sign).reshape(len(z), MOST, self.order.size // MOST).sum(axis=2))

    def _raw(self, view: View) -> Array:
        if not self.features:
            return view.x.reshape(len(view), self.mean.size)
        features = view.outputs.features
        assert features is not None, "fitted on a model with features"
        return _split(features)

    def note(self) -> str:
        """Which coordinates these are, in one line."""
        what = f"the model's {len(self.mean) - 1} penultimate features" if self.features else "the standardised input"
        if not self.features:
            what += f" ({len(self.mean)} values), as the model has no penultimate features"
        return f"distances are measured on {what}" + (f", folded to {MOST}" if self.order is not None else "")

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        arrays = {"space_features": np.array(self.features), "space_mean": self.mean, "space_scale": self.scale}
        if self.order is not None and self.sign is not None:
            arrays |= {"space_order": self.order, "space_sign": self.sign}
        return arrays

    @staticmethod
    def from_arrays(arrays: Arrays) -> Space:
        """The space that `to_arrays` wrote."""
        return Space(
            bool(arrays["space_features"]),
            arrays["space_mean"],
            arrays["space_scale"],
            arrays.get("space_order"),
            arrays.get("space_sign"),
        )


def _split(features: Array) -> Array:
    """(n, d) to (n, d + 1): direction and log length, float32."""
    n, d = features.shape
    split = np.empty((n, d + 1), dtype=np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", features, features))  # in silence where squares overflow
    np.maximum(length, _SHORTEST, out=length)
    np.minimum(length, _LONGEST, out=length)
    np.divide(features, length[:, None], out=split[:, :d])
    np.log(length, out=split[:, d])
    return split


def _standard(raw: Array, spec: InputSpec | None) -> tuple[Array, Array]:
    """Mean and inverse scale of every value. `spec` is the input's, None for features."""
    rows = raw.reshape(len(raw), -1).astype(np.float64)
    rows[~np.isfinite(rows)] = np.nan
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    variance = (np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / count
    if spec is None:
        variance[:-1] = variance[:-1].mean()  # one scale for the direction, one for the length
    elif spec.kind != "table":
        variance = _by_channel(variance, spec)
    scale = 1.0 / np.sqrt(np.where(variance > 0.0, variance, 1.0))
    exact = raw.dtype == np.float64 or (raw.dtype.kind in "iu" and raw.dtype.itemsize > 2)
    return mean.astype(np.float64 if exact else np.float32), scale.astype(np.float64 if exact else np.float32)


def _by_channel(variance: Array, spec: InputSpec) -> Array:
    cube = variance.reshape(1, *spec.shape)
    channel = channel_axis(spec)
    axes = tuple(axis for axis in range(cube.ndim) if axis != channel)
    return np.broadcast_to(cube.mean(axis=axes, keepdims=True), cube.shape).ravel()


def _folding(values: int, seed: int) -> tuple[Array | None, Array | None]:
    """Every value goes, with a random sign, into one of `MOST` sums of equally many; padding has sign 0."""
    if values <= MOST + 1:  # with the length
        return None, None
    each = -(-values // MOST)
    rng = np.random.default_rng(seed)
    order = np.zeros(MOST * each, dtype=np.int32)
    sign = np.zeros(MOST * each, dtype=np.float32)
    places = rng.permutation(MOST * each)[:values]
    order[places] = np.arange(values, dtype=np.int32)
    sign[places] = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), values)
    return order, sign
