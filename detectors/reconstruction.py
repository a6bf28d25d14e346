"""How badly a row is told by what was learned of honest rows: the error of its reconstruction.

Images and series: Meng, Chen: MagNet: a Two-Pronged Defense against Adversarial Examples (CCS 2017), its detector, with
a network that takes noise off. Tables: what lies outside of the principal components (Jackson, Mudholkar: Control
Procedures for Residuals Associated with Principal Component Analysis, Technometrics 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier
from defenses.columns import Columns
from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from detectors.base import Detector, DetectorSpec, Reference, View
from models.batch import Array, Arrays, InputSpec, Kind

_MOST = np.float32(1e6)  # standard units
_MOST_SCORE = np.float32(1e9)


@dataclass(frozen=True, slots=True)
class NetworkError:
    """The mean absolute change that the network makes, in units of `per_range`."""

    network: Purifier
    per_range: float
    name: str = "reconstruction"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        x = view.x.astype(np.float64)
        gap = np.abs(np.nan_to_num(self.network.apply(view.x).astype(np.float64) - x, nan=0.0))
        mean = gap.mean(axis=tuple(range(1, gap.ndim)))
        return np.asarray(np.minimum(mean * self.per_range, _MOST_SCORE), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ComponentError:
    """The length, in standard units, of what the `components` (columns, k) leave of a row."""

    columns: Columns
    components: Array
    name: str = "reconstruction"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        z = np.clip(self.columns.enter(view.x), -_MOST, _MOST)
        rest: Array = z - (z @ self.components) @ self.components.T
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", rest, rest)), dtype=np.float32)


class ReconstructionSpec(DetectorSpec):
    """Tables: so many components as explain `share` of the variance. The other keys are those of the purifier
    `denoising_autoencoder`, of the network for images and series.
    """

    kind: Literal["reconstruction"] = "reconstruction"
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    noise: Annotated[float, Field(gt=0.0, le=10.0)] = 0.3
    steps: Annotated[int, Field(ge=1, le=100_000)] = 300
    width: Annotated[int, Field(ge=1, le=1024)] = 32
    depth: Annotated[int, Field(ge=1, le=20)] = 4
    seed: Annotated[int, Field(ge=0)] = 0
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series", "table"})

    def fit(self, reference: Reference) -> Arrays:
        """The network or the components.

        Raises:
            Unsuitable: images and series, and torch is not installed.
        """
        self.refuse_unsuitable(reference.spec, reference.view.outputs)
        x = reference.view.x
        if reference.spec.kind != "table":
            return DenoisingAutoencoderSpec.of(self).train(x, reference.spec, reference.effort)
        arrays = Columns.learn(x)
        z = Columns.of(reference.spec, arrays).enter(x).astype(np.float64)
        variance, vectors = np.linalg.eigh(z.T @ z / max(len(z), 1))
        explained = np.cumsum(variance[::-1]) / max(float(variance.sum()), 1e-12)
        kept = min(int(np.searchsorted(explained, self.share)) + 1, len(variance) - 1)
        return {**arrays, "components": vectors[:, ::-1][:, :kept].astype(np.float32)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector."""
        if spec.kind == "table":
            return ComponentError(Columns.of(spec, arrays), arrays["components"])
        low, high = spec.bounds if spec.bounds is not None else map(float, arrays["range"])
        return NetworkError(DenoisingAutoencoderSpec.of(self).build(spec, arrays), 1.0 / (high - low))
