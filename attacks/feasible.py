"""Which inputs could really be sent: inside their range, on their grid, with some columns out of the attacker's hands.

Attacks run in unit space, where every value lies in [0, 1], so that one epsilon serves columns of any scale. What the
model sees on the way is already on the grid: an attack then finds rows that rounding does not undo. The gradient of a
rounding is taken as that of the value itself (Bengio, Leonard, Courville 2013, the straight-through estimator).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.losses import Model
from models.batch import Array, Arrays, Bounds, InputSpec

UNIT = Bounds(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Feasible:
    """For every value of a row, (*row shape) float64: its range and its grid, `origin + k * step` (step 0: none).

    `fixed` (*row shape) marks values that stay as they are. `sets` gives values of the flattened row that take only a
    few values: their indices (m,) and those values (m, k).
    """

    low: Tensor
    high: Tensor
    origin: Tensor
    step: Tensor
    fixed: Tensor
    sets: tuple[Tensor, Tensor] | None
    dtype: np.dtype[np.generic]

    @staticmethod
    def learn(x: Array, spec: InputSpec, rules: Arrays, immutable: Collection[str] = ()) -> Feasible:
        """What a fitted contract (`rules`, the arrays of `ContractSpec.fit`) and reference rows (n, ...) allow.

        Stated bounds are the range; without them it is that of the reference. `immutable` names columns.

        Raises:
            ValueError: the input has no such column.
        """
        unknown = sorted(set(immutable) - set(spec.columns))
        if unknown:
            raise ValueError(f"expected columns of the input ({', '.join(spec.columns) or 'none'}), found {unknown}")
        low, high = _range(x, spec)
        fixed = ~(high > low)
        fixed |= np.isin(np.array(spec.columns or [""] * spec.size), list(immutable)).reshape(spec.shape)
        step, origin = rules["step"].reshape(spec.shape), rules["origin"].reshape(spec.shape)
        if spec.dtype.kind in "iu":
            step = np.where(step > 0.0, step, 1.0)
        sets = None
        if len(rules["set_columns"]):
            sets = torch.tensor(rules["set_columns"]), torch.tensor(rules["set_values"])
        of = torch.tensor
        return Feasible(of(low), of(high), of(origin), of(step), of(fixed), sets, spec.dtype)

    @property
    def finest(self) -> float:
        """The smallest step in unit space; 0 where nothing lies on a grid."""
        on_grid = (self.step > 0.0) & ~self.fixed
        return float((self.step / self._width)[on_grid].min()) if bool(on_grid.any()) else 0.0

    @property
    def even_step(self) -> float | None:
        """The step in unit space where all values share one, as pixels do; else None."""
        widths = (self.step / self._width)[~self.fixed]
        if widths.numel() == 0 or float(widths.min()) <= 0.0 or float(widths.max() - widths.min()) > 1e-6:
            return None
        return float(widths.mean())

    def to_unit(self, x: Array) -> Tensor:
        """Rows in unit space, (n, *row shape) float32; what is missing or fixed is there without meaning."""
        rows = torch.tensor(np.asarray(x, dtype=np.float64))
        return torch.nan_to_num((rows - self.low) / self._width, nan=0.5).clamp(0.0, 1.0).float()

    def from_unit(self, rows: Tensor | Array, clean: Array) -> Array:
        """Rows of unit space as they can be sent, in the input's dtype; `clean` are the rows they were made from."""
        with torch.no_grad():
            found = self._snapped(torch.as_tensor(rows).double(), torch.tensor(np.asarray(clean, dtype=np.float64)))
        array = np.asarray(found.numpy())
        return np.asarray((np.rint(array) if self.dtype.kind in "iu" else array).astype(self.dtype))

    def through(self, model: Model, clean: Array) -> Model:
        """The model in unit space, for just these rows (n, ...) and in this order; it sees only what can be sent."""
        seen = self.seen(clean)
        return lambda rows: model(seen(rows))

    def seen(self, clean: Array) -> Callable[[Tensor], Tensor]:
        """From unit space to what can be sent, for just these rows (n, ...) and in this order."""
        kept = torch.tensor(np.asarray(clean, dtype=np.float64))
        return lambda rows: self._snapped(rows.double(), kept)

    @property
    def _width(self) -> Tensor:
        return torch.where(self.high > self.low, self.high - self.low, 1.0)

    def _snapped(self, rows: Tensor, clean: Tensor) -> Tensor:
        values = self.low + rows * self._width
        snapped = self._on_grid(values.detach())
        values = values + (snapped - values.detach())
        return torch.where(self.fixed | clean.isnan(), clean, values)

    def _on_grid(self, values: Tensor) -> Tensor:
        """On the grid, and inside the range: the grid's outermost points there, not the edges themselves."""
        step = torch.where(self.step > 0.0, self.step, 1.0)
        first = ((self.low - self.origin) / step - 1e-6).ceil()
        last = ((self.high - self.origin) / step + 1e-6).floor()
        k = torch.minimum(torch.maximum(((values - self.origin) / step).round(), first), last)
        found = torch.where(self.step > 0.0, self.origin + k * step, values)
        if self.sets is not None:
            columns, known = self.sets
            flat = found.flatten(1)
            nearest = (flat[:, columns, None] - known).abs().argmin(dim=2)
            flat[:, columns] = known.expand(len(flat), *known.shape).gather(2, nearest[..., None])[..., 0]
            found = flat.reshape(found.shape)
        return found


def _range(x: Array, spec: InputSpec) -> tuple[Array, Array]:
    if spec.bounds is not None:
        return np.full(spec.shape, float(spec.bounds.low)), np.full(spec.shape, float(spec.bounds.high))
    rows = np.asarray(x, dtype=np.float64)
    known = np.isfinite(rows)
    low, high = np.where(known, rows, np.inf).min(axis=0), np.where(known, rows, -np.inf).max(axis=0)
    nothing = low > high
    low[nothing] = high[nothing] = 0.0
    if spec.kind == "series":  # any time may hold what another does
        axis = tuple(range(low.ndim))
        low, high = np.full_like(low, low.min(axis)), np.full_like(high, high.max(axis))
    return low, high
