"""Moves a row to where honest rows lie, by a network that was trained to take noise off them.

Meng, Chen: MagNet: a Two-Pronged Defense against Adversarial Examples (CCS 2017), its reformer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from defenses.base import THOROUGH, Effort, Purifier, PurifierSpec, Unsuitable
from defenses.columns import Columns
from defenses.folding import Folding
from defenses.network import Network, encode
from defenses.values import Values, learned_range
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind

Model = Callable[[Any, Array], Any]  # as `DenoisingAutoencoderSpec.guided` has it


@dataclass(frozen=True, slots=True)
class DenoisingAutoencoder:
    """Adds what the network tells of a row in the units that it was trained in."""

    name: str
    network: Network
    folding: Folding
    scale: Values | Columns

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        told = self.network.run(self.folding.fold(self.scale.enter(x).astype(np.float32, copy=False)))
        return self.scale.moved(x, self.folding.unfold(told, x.shape))


class DenoisingAutoencoderSpec(PurifierSpec):
    """`noise` is the largest standard deviation trained on: of the input's range, for tables of each column's spread.

    `steps` batches of 64 rows are trained on, with `seed`; `width` and `depth` are of the hidden layers.
    """

    kind: Literal["denoising_autoencoder"] = "denoising_autoencoder"
    noise: Annotated[float, Field(gt=0.0, le=10.0)] = 0.3
    steps: Annotated[int, Field(ge=1, le=100_000)] = 1000
    width: Annotated[int, Field(ge=1, le=1024)] = 32
    depth: Annotated[int, Field(ge=1, le=20)] = 4
    seed: Annotated[int, Field(ge=0)] = 0
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "table", "series"})

    @staticmethod
    def of(spec: BaseModel) -> DenoisingAutoencoderSpec:
        """With the keys of a spec that has the same beside its own."""
        keys = DenoisingAutoencoderSpec.model_fields.keys() - {"kind"}
        return DenoisingAutoencoderSpec.model_validate(spec.model_dump(include=keys))

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """As `train`, thoroughly."""
        return self.train(x, spec, THOROUGH)

    def train(self, x: Array, spec: InputSpec, effort: Effort) -> Arrays:
        """`network`, an ONNX graph as bytes, and the scale of the input.

        Raises:
            Unsuitable: token ids, or torch is not installed.
        """
        return self._trained(x, spec, effort, None)

    def guided(self, x: Array, spec: InputSpec, effort: Effort, logits: Array, model: Model) -> Arrays:
        """As `train`, but what the network adds need not bring back the row, only the model's answer (n, classes).

        `model` tells the logits of other values (a tensor, m rows) of the rows with these indices (m,), differentiably.
        """
        return self._trained(x, spec, effort, (logits, model))

    def _trained(self, x: Array, spec: InputSpec, effort: Effort, guide: tuple[Array, Model] | None) -> Arrays:
        self.refuse_unsuitable(spec)
        try:
            from defenses.training.denoiser import Course, train
            from defenses.training.guided import guided
            from defenses.training.places import Places
        except ImportError as error:
            raise Unsuitable("denoising_autoencoder is trained with torch: install watchgate[torch]") from error
        arrays = Columns.learn(x) if spec.kind == "table" else learned_range(x, spec)
        folding, scale = Folding.of(spec), self._scale(spec, arrays)
        rows = folding.fold(scale.enter(x).astype(np.float32, copy=False))
        course = Course(self.noise, effort.steps(self.steps), self.seed, folding.block, effort.progress)
        widths = (self.width,) * self.depth
        if guide is None:
            return {**arrays, "network": encode(train(rows, widths, folding.kernel, course))}
        places = Places.of(folding, scale, spec.shape)
        return {**arrays, "network": encode(guided(rows, widths, folding.kernel, course, places, *guide))}

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for token ids."""
        self.refuse_unsuitable(spec)
        if "network" not in arrays:
            raise Unsuitable("denoising_autoencoder needs to be trained: fit it first")
        name = "-".join(f"{part:g}" for part in (self.noise, self.steps, self.width, self.depth, self.seed))
        network = Network(arrays["network"])
        return DenoisingAutoencoder(f"{self.kind}-{name}", network, Folding.of(spec), self._scale(spec, arrays))

    def _scale(self, spec: InputSpec, arrays: Arrays) -> Values | Columns:
        return Columns.of(spec, arrays) if spec.kind == "table" else Values.scaled(spec, arrays, self.kind)
