"""Which inputs could really be sent, as `attacks.feasible` has it, without torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class Grid:
    """For every value of a row, (*row shape) float64: its range and its grid, `origin + k * step` (step 0: none).

    `fixed` (*row shape) marks values that stay as they are. `sets` (m,) are values of the flattened row that take only
    the values in `members` (m, k).
    """

    low: Array
    width: Array
    origin: Array
    step: Array
    fixed: Array
    sets: Array
    members: Array
    dtype: np.dtype[np.generic]

    @staticmethod
    def learn(x: Array, spec: InputSpec, rules: Arrays, immutable: Collection[str] = ()) -> Grid:
        """What a fitted contract (`rules`, the arrays of `ContractSpec.fit`) and reference rows (n, ...) allow.

        Stated bounds are the range; without them it is that of the reference. `immutable` names columns.
        """
        low, high = _range(x, spec)
        step, origin = rules["step"].reshape(spec.shape), rules["origin"].reshape(spec.shape)
        if spec.dtype.kind in "iu":
            step = np.where(step > 0.0, step, 1.0)
        fixed = ~(high > low) | np.isin(np.array(spec.columns or [""] * spec.size), list(immutable)).reshape(spec.shape)
        width = np.where(high > low, high - low, 1.0)
        return Grid(low, width, origin, step, fixed, rules["set_columns"], rules["set_values"], spec.dtype)

    @property
    def even_step(self) -> float | None:
        """The step in unit space where all values share one, as pixels do; else None."""
        widths = (self.step / self.width)[~self.fixed]
        if widths.size == 0 or widths.min() <= 0.0 or np.ptp(widths) > 1e-6:
            return None
        return float(widths.mean())

    def to_unit(self, x: Array) -> Array:
        """Rows in unit space, (n, *row shape) float64; what is missing or fixed is there without meaning."""
        return np.asarray(np.clip(np.nan_to_num((x.astype(np.float64) - self.low) / self.width, nan=0.5), 0.0, 1.0))

    def from_unit(self, rows: Array, clean: Array) -> Array:
        """Rows of unit space as they can be sent, in the input's dtype; `clean` are the rows they were made from."""
        values = self.low + np.clip(rows, 0.0, 1.0) * self.width
        step = np.where(self.step > 0.0, self.step, 1.0)
        first = np.ceil((self.low - self.origin) / step - 1e-6)
        last = np.floor((self.low + self.width - self.origin) / step + 1e-6)
        k = np.clip(np.rint((values - self.origin) / step), first, last)
        found = np.where(self.step > 0.0, self.origin + k * step, values)
        if len(self.sets):
            flat = found.reshape(len(found), -1)
            nearest = np.abs(flat[:, self.sets, None] - self.members).argmin(axis=2)
            flat[:, self.sets] = self.members[np.arange(len(self.sets)), nearest]
        found = np.where(self.fixed | np.isnan(clean.astype(np.float64)), clean, found)
        return np.asarray((np.rint(found) if self.dtype.kind in "iu" else found).astype(self.dtype))


def _range(x: Array, spec: InputSpec) -> tuple[Array, Array]:
    if spec.bounds is not None:
        return np.full(spec.shape, float(spec.bounds.low)), np.full(spec.shape, float(spec.bounds.high))
    rows = x.astype(np.float64)
    known = np.isfinite(rows)
    low, high = np.where(known, rows, np.inf).min(axis=0), np.where(known, rows, -np.inf).max(axis=0)
    low, high = np.where(low > high, 0.0, low), np.where(low > high, 0.0, high)
    if spec.kind == "series":  # any time may hold what another does
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    return low, high
