"""A drift detector of alibi-detect at work: what it says of rows, and what it must not lose. An optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from defenses.base import Unsuitable
from models.batch import Array

_KEPT = ("thresholds", "ref_inds")  # beside what alibi-detect calls the state
_TRIMMED = ("test_stats", "drift_preds", "xs")  # one entry a row, for ever; of `xs` it looks at a window
_LEAST_P = 1e-300


@dataclass(frozen=True, slots=True)
class Looked:
    """What a detector said. `statistic` is above `threshold` where it drifted, or nearly: `drifted` is its own word.

    Of detectors that tell p-values, `statistic` is -log10 of the smallest, and `threshold` of the level it is held
    against.
    """

    statistic: float
    threshold: float
    drifted: bool
    p_values: tuple[float, ...] = ()


class SavedDrift:
    """A detector of alibi-detect. Online ones look at a row at a time, others at a window. Not for several threads."""

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        inner = getattr(detector, "_detector", detector)
        self._inner = getattr(inner, "_detector", inner)
        self.name = str(detector.meta["name"])
        self.online = bool(getattr(self._inner, "online_state_keys", ()))
        self.shape = tuple(int(size) for size in self._inner.x_ref.shape[1:])

    def fitting(self, rows: Array) -> Array:
        """The rows (n, ...) in the shape of the detector's own reference rows.

        Raises:
            Unsuitable: they have another number of values.
        """
        size = int(np.prod(self.shape))
        if rows[0].size != size:
            raise Unsuitable(f"{self.name}: expected rows of {size} values ({self.shape}), found {rows[0].size}")
        found: Array = rows.reshape(len(rows), *self.shape).astype(np.float32)
        return found

    def look(self, rows: Array) -> Looked | None:
        """What it says of a window (n, ...), or after these rows; None while an online one has not seen enough."""
        if not self.online:
            return _window(self._detector.predict(rows)["data"])
        found = None
        for row in rows:
            found = _row(self._detector.predict(row)["data"])
        self._trim()
        return found

    def to_arrays(self) -> dict[str, Array]:
        """What an online detector must not lose: its thresholds, and what it knows of the stream."""
        if not self.online:
            return {}
        found = {name: getattr(self._inner, name) for name in self._names if hasattr(self._inner, name)}
        return {name: np.asarray(value) for name, value in found.items()}

    def restore(self, arrays: Mapping[str, Array]) -> bool:
        """Goes on from what `to_arrays` gave; whether it could: not where the reference was split otherwise."""
        names = [name for name in self._names if name in arrays and hasattr(self._inner, name)]
        split = np.asarray(getattr(self._inner, "ref_inds", ()))
        if "t" not in names or not np.array_equal(split, arrays.get("ref_inds", np.empty(0))):
            return False
        for name in names:
            setattr(self._inner, name, _like(arrays[name], getattr(self._inner, name)))
        return True

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self._inner.online_state_keys, *_KEPT)

    def _trim(self) -> None:
        sizes = getattr(self._inner, "window_sizes", None) or [self._inner.window_size]
        for name in _TRIMMED:
            kept = getattr(self._inner, name, None)
            if kept is not None and len(kept) > 4 * max(sizes):
                setattr(self._inner, name, kept[-max(sizes) :].copy())


def _window(data: Mapping[str, Any]) -> Looked:
    drifted = bool(np.any(data["is_drift"]))
    if data.get("p_val") is None:
        return Looked(float(np.max(data["distance"])), float(np.max(data["threshold"])), drifted)
    p = np.atleast_1d(np.asarray(data["p_val"], dtype=np.float64))
    low, level = max(float(p.min()), _LEAST_P), max(float(np.max(data["threshold"])), _LEAST_P)
    return Looked(-float(np.log10(low)), -float(np.log10(level)), drifted, tuple(map(float, p)))


def _row(data: Mapping[str, Any]) -> Looked | None:
    statistic = np.atleast_1d(np.asarray(data["test_stat"], dtype=np.float64))
    if np.isnan(statistic).all():
        return None
    threshold = np.broadcast_to(np.asarray(data["threshold"], dtype=np.float64), statistic.shape)
    worst = np.nanargmax(statistic - threshold)
    return Looked(float(statistic.flat[worst]), float(threshold.flat[worst]), bool(np.any(data["is_drift"])))


def _like(array: Array, present: Any) -> Any:
    """The array as the kind of value that is there now."""
    if isinstance(present, np.ndarray):
        return array.copy()
    if isinstance(present, list):
        return list(array)
    if isinstance(present, int | float):
        return type(present)(array)
    import torch

    return torch.from_numpy(array.copy()).to(present.device)
