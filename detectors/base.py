"""What a detector is, and the view of a batch that it scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

from defenses.base import THOROUGH, Effort, Purifier, Unsuitable
from models.backend import ModelBackend, Outputs
from models.batch import NO_ARRAYS, Array, Arrays, Batch, InputSpec, Kind

if TYPE_CHECKING:
    from detectors.examples import Examples

__all__ = ["Detector", "DetectorSpec", "Need", "Reference", "Unsuitable", "View"]

Need = Literal["logits", "features", "layers"]
Gradients = Callable[[Any, Array], Any]


class View:
    """A batch and its forward passes, each computed once and only when somebody asks."""

    __slots__ = ("_cost", "_kept", "_outputs", "_passes", "backend", "batch")

    def __init__(self, batch: Batch, backend: ModelBackend) -> None:
        self.batch = batch
        self.backend = backend
        self._cost = [0]
        self._outputs: Outputs | None = None
        self._passes: dict[str, Outputs] = {}
        self._kept: dict[Hashable, Array] = {}

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def x(self) -> Array:
        """The guarded input, (n, *row shape), read-only."""
        return self.batch.x

    @property
    def rows_run(self) -> int:
        """Rows sent through the model so far, by this view and its parts: a chain's cost in forward passes."""
        return self._cost[0]

    @property
    def outputs(self) -> Outputs:
        """The model's answer to the rows as they came."""
        if self._outputs is None:
            self._outputs = self._run(self.batch)
        return self._outputs

    @property
    def known(self) -> Outputs | None:
        """`outputs` if somebody has asked for them already, else None: costs no pass."""
        return self._outputs

    def through(self, purifier: Purifier) -> Outputs:
        """The model's answer to the purified rows."""
        known = self._passes.get(purifier.name)
        if known is None:
            known = self._passes[purifier.name] = self._run(self.batch.with_x(purifier.apply(self.x)))
        return known

    def once(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """What `make` returns, (n, ...), made once for all detectors that share the key. Not to be written to."""
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = make()
        return known

    def take(self, rows: Array) -> View:
        """A view of only these rows that keeps the passes already made."""
        part = View(self.batch.take(rows), self.backend)
        part._cost = self._cost
        part._outputs = None if self._outputs is None else self._outputs.take(rows)
        part._passes = {name: outputs.take(rows) for name, outputs in self._passes.items()}
        part._kept = {key: kept[rows] for key, kept in self._kept.items()}
        return part

    def rerun(self, x: Array) -> Outputs:
        """The model's answer to another guarded input for the same rows; not kept."""
        return self._run(self.batch.with_x(x))

    def _run(self, batch: Batch) -> Outputs:
        self._cost[0] += len(batch)
        return self.backend.predict(batch)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a detector is fitted on: rows that are normal, their labels where known, and a seed.

    `examples` are for detectors that are trained on attacks; None where there are none. `effort` is for those whose
    training takes long. `gradients` makes, where some detector asks for it, the model as a differentiable function:
    values for rows (a torch tensor) and which rows of the view they are, to logits. `worn` has, for each kind of mild
    wear that is no cause for suspicion, some of the rows with it.
    """

    view: View
    spec: InputSpec
    y: Array | None = None  # (n,) integer class labels
    seed: int = 0
    examples: Examples | None = None
    effort: Effort = THOROUGH
    gradients: Callable[[], Gradients] | None = None
    worn: Mapping[str, View] = field(default_factory=dict)

    def differentiable(self, who: str) -> Gradients:
        """The model, to be differentiated by `who`.

        Raises:
            Unsuitable: torch is not installed, or the model has no gradient.
        """
        if self.gradients is None:
            raise Unsuitable(f"{who} is trained with gradients of the model, and there are none")
        try:
            return self.gradients()
        except Unsuitable as error:
            raise Unsuitable(f"{who} is trained with gradients of the model: {error}") from error

    @property
    def labels(self) -> Array:
        """The known labels, else the classes that the model predicts, (n,) int64.

        Raises:
            Unsuitable: no labels are known and the model has no class logits.
        """
        if self.y is not None:
            return np.asarray(self.y, dtype=np.int64)
        logits = self.view.outputs.logits
        if logits is None:
            raise Unsuitable("needs labels `y` in the reference, or a model with class logits")
        return np.asarray(logits.argmax(axis=1), dtype=np.int64)


@runtime_checkable
class Detector(Protocol):
    """Scores rows, each by itself: a row scores the same alone as among others. Scoring changes no state."""

    @property
    def name(self) -> str:
        """Method and, where two could differ, parameters."""
        ...

    def score(self, view: View) -> Array:
        """(n,) float32, finite, higher is more suspicious."""
        ...


class DetectorSpec(BaseModel, ABC):
    """How a detector is configured. Subclasses add `kind: Literal[...] = ...` and parameters.

    `fit` returns what was learned as arrays, `build` makes the detector from them: `build(fit(reference), spec)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    needs: ClassVar[frozenset[Need]] = frozenset()
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "table", "series", "tokens"})

    def fit(self, reference: Reference) -> Arrays:
        """Learns from the reference.

        Raises:
            Unsuitable: the model or the data lack what the method needs.
        """
        return NO_ARRAYS

    @property
    def cost(self) -> float:
        """Forward passes a row beyond the one that answers; a network of its own counts by its size."""
        return 0.0

    def needed(self) -> frozenset[Need]:
        """What it needs of the model; `layers` makes `calibrate` look for some where the config names none."""
        return self.needs

    @abstractmethod
    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector, ready to score."""

    def code(self) -> Mapping[str, str]:
        """The Python code outside watchgate that scores rows: its name, and a digest or version that tells changes."""
        return {}

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What a person should know of the fit, one line each; `calibrate` prints them."""
        return ()

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """Checks the method against an input and a model that answered `outputs` to some rows of it.

        Raises:
            Unsuitable: the method was not made for this kind of input, or the model lacks what it needs.
        """
        if spec.kind not in self.suits:
            raise Unsuitable(f"{self.kind} works on {' and '.join(sorted(self.suits))} inputs; this one is {spec.kind}")
        given = {
            "logits": outputs.logits is not None,
            "features": outputs.features is not None,
            "layers": outputs.layers,
        }
        lacking = [need for need in sorted(self.needs) if not given[need]]
        if lacking:
            names = " and ".join("class logits" if need == "logits" else need for need in lacking)
            raise Unsuitable(f"{self.kind} needs {names}; this model has none (outputs: {', '.join(outputs.tensors)})")
