"""Honest rows with mild wear, as they could be sent: inside the input's range and on its grid. Needs no torch.

Cuts are set so that each kind of wear is found at most twice as often as rows without any. Only rows count that the
model takes for the same class as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from defenses.axes import channel_axis
from detectors.base import Reference, Unsuitable, View
from detectors.contract import ContractSpec
from gateway.training.corruptions import kinds, worn
from gateway.training.passes import Chunked
from models.backend import ModelBackend
from models.batch import Array, Arrays, Batch, InputSpec

_RULES_ROWS = 5000
_MILD = 0.8  # of the rows keep their class, or that wear is not mild to this model
MOST_ROWS = 600  # of each kind of wear that cuts and tail maps are held against


@dataclass(frozen=True, slots=True)
class Wear:
    """Wear of these `kinds`. `low`, `width` and the grid `origin`, `step` (0: none) are of each value of a row."""

    spec: InputSpec
    low: Array
    width: Array
    origin: Array
    step: Array
    kinds: tuple[str, ...]

    @staticmethod
    def learn(rows: Batch, backend: ModelBackend, seed: int) -> Wear | None:
        """Of reference rows; None where this kind of input knows no wear, or its rules can't be told."""
        spec = backend.spec
        if not kinds(spec):
            return None
        some = rows.take(np.sort(np.random.default_rng(seed).permutation(len(rows))[:_RULES_ROWS]))
        try:
            rules = ContractSpec().fit(Reference(View(some, backend), spec, seed=seed))
        except Unsuitable:
            return None
        return Wear.of(spec, rules, some.x)

    @staticmethod
    def of(spec: InputSpec, rules: Arrays, x: Array) -> Wear:
        """By the fitted rules of a contract; the range is that of the rows `x` where no bounds are stated."""
        low, high = _range(spec, x)
        step = rules["step"].reshape(spec.shape)
        if spec.dtype.kind in "iu":
            step = np.where(step > 0.0, step, 1.0)
        return Wear(spec, low, np.maximum(high - low, 1e-12), rules["origin"].reshape(spec.shape), step, kinds(spec))

    def each(self, batch: Batch, backend: ModelBackend, seed: int, most: int = MOST_ROWS) -> dict[str, Batch]:
        """By kind of wear, these rows, `most` of them, with it, of random strength; those whose class stayed."""
        random = np.random.default_rng(seed)
        classes = _classes(backend, batch)
        found: dict[str, Batch] = {}
        for kind in self.kinds:
            rows = random.permutation(len(batch))[:most]
            part = batch.take(rows)
            changed = part.with_x(self.made(part.x, {kind: np.arange(len(part))}, random))
            same = _same(backend, changed, classes, rows)
            if len(same) >= _MILD * len(rows):
                found[kind] = changed.take(same)
        return found

    def made(self, x: Array, which: Mapping[str, Array], random: np.random.Generator) -> Array:
        """`x` (n, *row shape) with each wear on the rows that `which` says, in its own dtype."""
        unit = np.clip((np.nan_to_num(x.astype(np.float64)) - self.low) / self.width, 0.0, 1.0)
        found = self.low + worn(unit, self.spec, which, random) * self.width
        step = np.where(self.step > 0.0, self.step, 1.0)
        first = np.ceil((self.low - self.origin) / step - 1e-6)
        last = np.floor((self.low + self.width - self.origin) / step + 1e-6)
        snapped = self.origin + np.clip(np.rint((found - self.origin) / step), first, last) * step
        values = np.where(np.isnan(x), np.nan, np.where(self.step > 0.0, snapped, found))
        return np.asarray((np.rint(values) if x.dtype.kind in "iu" else values).astype(x.dtype))


def _range(spec: InputSpec, x: Array) -> tuple[Array, Array]:
    """Of every value, (*row shape): the stated bounds, or what its channel reaches."""
    if spec.bounds is not None:
        return np.full(spec.shape, float(spec.bounds.low)), np.full(spec.shape, float(spec.bounds.high))
    channel = channel_axis(spec)
    axes = tuple(axis for axis in range(x.ndim) if axis != channel)
    ends = (np.nanmin(x, axis=axes, keepdims=True)[0], np.nanmax(x, axis=axes, keepdims=True)[0])
    return np.broadcast_to(ends[0], spec.shape), np.broadcast_to(ends[1], spec.shape)


def _same(backend: ModelBackend, changed: Batch, classes: Array | None, rows: Array) -> Array:
    """The places of the changed rows, made of `rows`, that the model takes for the same class."""
    now = _classes(backend, changed)
    return np.arange(len(changed)) if now is None or classes is None else np.flatnonzero(now == classes[rows])


def _classes(backend: ModelBackend, batch: Batch) -> Array | None:
    logits = Chunked(backend).predict(batch).logits
    return None if logits is None else np.asarray(logits.argmax(axis=1))
