"""What every honest row keeps to: the stated bounds, the learned range, the value lattice. Runs before the model.

The rules are ours; that adversarial pixels betray themselves by leaving the grid that real ones lie on was noted by
Xu, Evans, Qi (Feature Squeezing, NDSS 2018) and is used against carelessly made attacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from detectors import lattice
from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.calibration import CERTAIN
from detectors.rule_learning import learn
from detectors.rules import Rules, cast
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = 1e9


@dataclass(frozen=True, slots=True)
class Contract:
    """0 for a normal row; `CERTAIN` for what no honest row does; between, every value outside its learned range adds
    one, and by how many ranges it is outside. The largest excess alone says little: attacks move many values a little,
    where an odd honest row has a few far out.

    A batch that keeps every rule, and so nearly every batch, costs one comparison with the inner box and one pass over
    the grid. Only else the rules are looked at value by value.
    """

    rules: Rules
    low: Array  # (values,) the inner box: range and bounds together
    high: Array
    name: str = "contract"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        x = cast(view.x.reshape(len(view), self.low.size))
        if self._plain(x):
            return np.zeros(len(x), dtype=np.float32)
        excess, broken = self.rules.check(x)
        score: Array = np.minimum(excess, _MOST_SCORE).sum(axis=1)
        score += (excess > 0.0).sum(axis=1)
        np.minimum(score, _MOST_SCORE, out=score)
        score[broken.any(axis=1)] = CERTAIN
        return score.astype(np.float32)

    def _plain(self, x: Array) -> bool:
        """Whether every rule is kept for sure: False only means that a closer look is needed."""
        inside = x >= self.low
        inside &= x <= self.high
        if np.count_nonzero(inside) < inside.size or self.rules.sets is not None:
            return False
        if self.rules.per_step is None:
            return True
        t = x - self.rules.origin
        t *= self.rules.per_step
        t -= np.rint(t)
        flat = t.ravel()
        return bool(flat.dot(flat) < lattice.TOLERANCE**2)  # then no single one is off by more

    def explain(self, x: Array) -> str:
        """Which rule this row (no batch axis) breaks worst, in words, and in how many other values; '' if none."""
        return self.rules.explain(cast(x.reshape(1, -1)))


class ContractSpec(DetectorSpec):
    """`margin` widens the learned range, in units of it. `range` and `lattice` false: learn no such rule."""

    kind: Literal["contract"] = "contract"
    margin: Annotated[float, Field(ge=0.0, le=1e6)] = 0.1
    range: Literal["auto", False] = "auto"
    lattice: Literal["auto", False] = "auto"

    def fit(self, reference: Reference) -> Arrays:
        """The rules.

        Raises:
            Unsuitable: reference rows themselves lie outside the stated bounds or are not finite.
        """
        return learn(
            cast(reference.view.x.reshape(len(reference.view), -1)),
            reference.spec,
            margin=self.margin if self.range else None,
            with_lattice=bool(self.lattice),
            seed=reference.seed,
        )

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these rules; its `explain` says which one a row broke."""
        rules = Rules.from_arrays(arrays, spec)
        largest = float(np.finfo(rules.low.dtype).max) ** 0.5  # infinities, and what may overflow, get the closer look
        low = np.maximum(np.maximum(rules.low, rules.bound_low), -largest).astype(rules.low.dtype)
        high = np.minimum(np.minimum(rules.high, rules.bound_high), largest).astype(rules.high.dtype)
        return Contract(rules, low, high)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What was learned."""
        step = arrays["step"]
        on_grid = step > 0.0
        said = [f"contract: range of {len(step)} values learned from {int(arrays['rows'])} rows"] if self.range else []
        if on_grid.any():
            steps = np.unique(step[on_grid])
            which = f"steps of {steps[0]:.6g}" + (f" to {steps[-1]:.6g}" if len(steps) > 1 else "")
            said.append(f"contract: {int(on_grid.sum())} of {len(step)} values lie on a grid, {which}")
        elif self.lattice:
            said.append("contract: no value lattice found")
        if len(arrays["set_columns"]):
            said.append(f"contract: {len(arrays['set_columns'])} columns take only a few values")
        return tuple(said)
