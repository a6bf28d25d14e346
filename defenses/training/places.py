"""Folding of rows and their scale, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from defenses.columns import Columns
from defenses.folding import Folding
from defenses.values import Values
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Places:
    """Rows of one shape to what a network takes and back; as `Folding` and the scale's `enter` and `leave` have it.

    `folded` (network's shape) and `flat` (values,) are indices; a value of a row is `unit` times what the network has,
    plus `zero`.
    """

    folded: Tensor
    flat: Tensor
    shape: tuple[int, ...]
    unit: Tensor
    zero: Tensor

    @staticmethod
    def of(folding: Folding, scale: Values | Columns, shape: tuple[int, ...]) -> Places:
        """`shape` is a row's."""
        numbered = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(1, *shape)
        folded = folding.fold(numbered)
        back = folding.unfold(np.arange(folded.size, dtype=np.int64).reshape(folded.shape), (1, *shape))
        unit, zero = (scale.high - scale.low, scale.low) if isinstance(scale, Values) else (scale.spread, scale.mean)
        return Places(torch.tensor(folded[0]), torch.tensor(back.ravel()), shape, _real(unit), _real(zero))

    def enter(self, x: Tensor) -> Tensor:
        """(n, *row shape) to (n, *network's shape), float32; a missing value as 0."""
        flat = torch.nan_to_num((x.flatten(1) - self.zero) / self.unit, nan=0.0).float()
        return flat[:, self.folded]

    def leave(self, z: Tensor) -> Tensor:
        """The way back, without bounds."""
        return (z.flatten(1)[:, self.flat] * self.unit + self.zero).reshape(-1, *self.shape)

    def by(self, z: Tensor) -> Tensor:
        """The way back of a difference."""
        return (z.flatten(1)[:, self.flat] * self.unit).reshape(-1, *self.shape)


def _real(values: float | Array) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float32))
