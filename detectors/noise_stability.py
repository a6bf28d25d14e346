"""How the answer moves under a little noise, the same for every row: adversarial rows lie in small, odd places.

Roth, Kilcher, Hofmann: The Odds are Odd: A Statistical Test for Detecting Adversarial Examples (ICML 2019); the plain
change of the probabilities is as in Hu, Yu, Guo, Chao, Weinberger: A New Defense Against Adversarial Images: Turning a
Weakness into a Strength (NeurIPS 2019). The noise is of one size everywhere and drawn once, at calibration; each draw
is used with both signs, so that what is linear in it cancels and only how the model bends is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.columns import Columns
from defenses.values import Values, learned_range
from detectors.base import Detector, DetectorSpec, Need, Reference, View
from detectors.odds import Odds
from models.batch import Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class Noise:
    """A purifier as a view takes it: adds `by` (*row shape) of the scale's units to every row, inside the bounds."""

    name: str
    by: Array
    scale: Values | Columns

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        return self.scale.moved(x, self.by)


@dataclass(frozen=True, slots=True)
class NoiseStability:
    """With `odds`, the most unusual shift of the mean logits; without, how far the mean probabilities move, in L1."""

    noises: tuple[Noise, ...]
    odds: Odds | None
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32."""
        plain = view.outputs.logits
        assert plain is not None, "fitted on a model with logits"
        if self.odds is not None:
            return self.odds.score(plain, _mean_logits(view, self.noises))
        mean = sum(_softmax(_logits(view, noise)) for noise in self.noises) / np.float32(len(self.noises))
        with np.errstate(invalid="ignore"):
            score = np.abs(mean - _softmax(plain)).sum(axis=1)
        return np.asarray(np.nan_to_num(score, nan=2.0), dtype=np.float32)


class NoiseStabilitySpec(DetectorSpec):
    """`noise` is its size: of the input's range, for tables of each column's spread. `draws` cost two passes each.

    `measure` is `odds`, unusual shifts of log-odds, or `change`, how far the probabilities move.
    """

    kind: Literal["noise_stability"] = "noise_stability"
    noise: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01
    draws: Annotated[int, Field(ge=1, le=64)] = 1
    measure: Literal["odds", "change"] = "odds"
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series", "table"})

    @property
    def cost(self) -> float:
        """Two a draw."""
        return 2.0 * self.draws

    def fit(self, reference: Reference) -> Arrays:
        """The noise, what scales it, and which shifts are usual of honest rows."""
        view, spec = reference.view, reference.spec
        self.refuse_unsuitable(spec, view.outputs)
        plain = view.outputs.logits
        assert plain is not None, "checked above"
        signs = np.random.default_rng(reference.seed).integers(0, 2, (self.draws, *spec.shape)) * 2 - 1
        arrays: dict[str, Array] = {"signs": signs.astype(np.int8)}
        arrays |= Columns.learn(view.x) if spec.kind == "table" else learned_range(view.x, spec)
        if self.measure == "odds":
            arrays |= Odds.fit(plain, _mean_logits(view, self._noises(arrays, spec))).to_arrays("odds_")
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector."""
        odds = Odds.from_arrays(arrays, "odds_") if self.measure == "odds" else None
        return NoiseStability(self._noises(arrays, spec), odds, f"{self.kind}[{self.measure} {self.noise:g}]")

    def _noises(self, arrays: Arrays, spec: InputSpec) -> tuple[Noise, ...]:
        table = spec.kind == "table"
        scale = Columns.of(spec, arrays) if table else Values.scaled(spec, arrays, self.kind)
        both = [sign * self.noise * draw.astype(np.float32) for draw in arrays["signs"] for sign in (1, -1)]
        return tuple(Noise(f"noise-{self.noise:g}-{index}", by, scale) for index, by in enumerate(both))


def _mean_logits(view: View, noises: Sequence[Noise]) -> Array:
    total = _logits(view, noises[0])
    for noise in noises[1:]:
        total = total + _logits(view, noise)
    return np.asarray(total / np.float32(len(noises)))


def _logits(view: View, noise: Noise) -> Array:
    logits = view.through(noise).logits
    assert logits is not None, "fitted on a model with logits"
    return logits


def _softmax(logits: Array) -> Array:
    with np.errstate(invalid="ignore"):  # infinite logits
        p: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    return p
