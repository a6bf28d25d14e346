"""What is learned before a chain is fitted: attacks for those that learn from them, and which stages it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from defenses.base import Effort
from detectors.base import Reference, View
from detectors.combiner import CombinerSpec
from detectors.remembering import RememberingReference
from gateway.config import EndpointConfig, StageConfig
from gateway.errors import OperatorError
from gateway.training.differentiating import gradients_of
from gateway.training.examples import Made, make
from gateway.training.fitting import Taught
from gateway.training.hardening import harden
from gateway.training.passes import Chunked, Progress
from gateway.training.prepare import Prepared, learns
from gateway.training.selecting import Selection, select, sparing
from gateway.training.splits import MIN_TRAIN
from gateway.training.stored import StoredModel
from gateway.training.wearing import Wear
from models.specs import load_model

_WORN_ROWS = 1500  # of each kind of wear, for detectors that learn what it makes usual


@dataclass(frozen=True, slots=True)
class Learning:
    """`quick`: seconds instead of minutes. `harden`: so many rounds of attacks that know the chain. `select` chooses
    the stages even where the config lists some, `cost` takes the place of the config's. `written`: the chosen stages
    will stand in the config.
    """

    quick: bool = False
    harden: int = 0
    select: bool = False
    cost: float | None = None
    written: bool = False


THOROUGH = Learning()


@dataclass(frozen=True, slots=True)
class Learned:
    """The endpoint as its chain will be fitted: with stages, a model, examples, and what the reference has taught."""

    settings: EndpointConfig
    prepared: Prepared
    made: Made
    reference: RememberingReference
    wear: Wear | None = None
    selection: Selection | None = None

    @property
    def taught(self) -> Taught:
        """As fitting takes it."""
        return Taught(self.made.examples, self.reference, self.wear)


def asked(settings: EndpointConfig, learning: Learning) -> EndpointConfig:
    """The endpoint with what the call says instead of the config.

    Raises:
        OperatorError: stages would be chosen in place of listed ones that stay in the config.
    """
    if learning.cost is not None:
        settings = settings.model_copy(update={"cost": learning.cost})
    if not learning.select or settings.selects:
        return settings
    if not learning.written:
        raise OperatorError("chain: lists stages, and `serve` goes by that: add --write, or say `chain: auto` there")
    return settings.model_copy(update={"chain": (), "selects": True})


def learn(
    settings: EndpointConfig, prepared: Prepared, folder: Path, learning: Learning, progress: Progress
) -> Learned:
    """Makes the examples, chooses the stages where the config leaves that open, and hardens their combiner.

    Only reference and *train* rows are read. The model's path is relative to `folder`.
    """
    model = StoredModel(prepared.spec, folder, prepared.backend)
    effort = Effort(learning.quick, progress)
    lesson = _Lesson(settings, prepared, model, learning, effort, _wear(settings, prepared))
    reference = lesson.reference()
    return lesson.of_chosen_stages(reference) if settings.selects else lesson.of_listed_stages(reference)


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What all that is learned rests on; `wear` is what honest rows may come with, before any was too dear."""

    settings: EndpointConfig
    prepared: Prepared
    model: StoredModel
    learning: Learning
    effort: Effort
    wear: Wear | None

    def reference(self) -> RememberingReference:
        """The reference as detectors learn from it."""
        rows, backend = self.prepared.read("reference"), self.model.backend
        made = {} if self.wear is None else self.wear.each(rows.batch, backend, self.settings.seed, _WORN_ROWS)
        return RememberingReference(
            View(rows.batch, Chunked(backend, self.effort.progress)),
            backend.spec,
            rows.y,
            self.settings.seed,
            effort=self.effort,
            gradients=gradients_of(self.model, rows.batch),
            worn={kind: View(batch, Chunked(backend)) for kind, batch in made.items()},
        )

    def of_listed_stages(self, reference: RememberingReference) -> Learned:
        """Examples only where one of the stages learns from them."""
        if not _combines(self.settings.chain):
            return Learned(self.settings, self.prepared, Made(None, ()), reference, self.wear)
        made = self._made()
        if made.examples is not None and self.settings.wear == "auto":
            examples, notes = sparing(reference, made.examples, self.settings.budget, self.effort.progress)
            made = replace(made, examples=examples, notes=(*made.notes, *notes))
        made = self._hardened(made, self.settings.chain, reference)
        return Learned(self.settings, self.prepared, made, reference, _spared(self.wear, made))

    def of_chosen_stages(self, reference: RememberingReference) -> Learned:
        """The stages chosen too."""
        made, train = self._made(), reference.view
        if "train" in self.prepared.parts:
            train = View(self.prepared.read("train").batch, Chunked(self.model.backend))
        chosen = select(reference, train, made.examples, self.settings, self.effort.progress)
        settings = self.settings.model_copy(update={"chain": chosen.stages})
        made = replace(made, examples=chosen.examples)
        wear = _spared(self.wear, made)
        made = self._hardened(made, chosen.stages, reference)
        prepared = _without_idle_layers(settings, self.prepared, self.model)
        return Learned(settings, prepared, made, reference, wear, chosen)

    def _made(self) -> Made:
        """Examples made of the *train* rows."""
        if "train" not in self.prepared.parts:
            return Made(None, (f"no attacks to learn from: the holdout is too small for {MIN_TRAIN} rows more",))
        train, reference = self.prepared.read("train"), self.prepared.read("reference")
        return make(self.model, train, reference, wear=self.wear, seed=self.settings.seed, effort=self.effort)

    def _hardened(self, made: Made, stages: Sequence[StageConfig], reference: Reference) -> Made:
        """After the rounds that are asked for, against the whole chain; without a combiner there is nothing to
        learn.
        """
        if not _combines(stages):
            return made
        rounds, budget = self.learning.harden, self.settings.budget.flag
        return harden(made, stages, reference, rounds=rounds, budget=budget, effort=self.effort)


def _combines(stages: Sequence[StageConfig]) -> bool:
    return any(isinstance(stage.detector, CombinerSpec) for stage in stages)


def _wear(settings: EndpointConfig, prepared: Prepared) -> Wear | None:
    """The wear that honest rows may come with; None where the config says none, or this kind of input knows none.

    A chain of which no stage learns can't tell what sparing such rows costs: only an operator may ask for it.
    """
    if settings.wear == "none" or (settings.wear == "auto" and not learns(settings)):
        return None
    return Wear.learn(prepared.read("reference").batch, prepared.backend, settings.seed)


def _spared(wear: Wear | None, made: Made) -> Wear | None:
    """The wear with only the kinds that the examples have, where there are some."""
    if wear is None or made.examples is None:
        return wear
    return replace(wear, kinds=tuple(kind for kind in wear.kinds if kind in made.examples.worn))


def _without_idle_layers(settings: EndpointConfig, prepared: Prepared, model: StoredModel) -> Prepared:
    """The model without layers that were only looked for and that no chosen stage looks at."""
    if settings.model.layers != "none" or any("layers" in stage.detector.needed() for stage in settings.chain):
        return prepared
    spec = prepared.spec.model_copy(update={"layers": "none"})
    return replace(prepared, spec=spec, backend=load_model(spec, model.folder))
