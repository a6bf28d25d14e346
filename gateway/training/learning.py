"""What is learned before a chain is fitted: attacks for those that learn from them, and which stages it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from defenses.base import Effort
from detectors.base import Reference, View
from detectors.combiner import CombinerSpec
from detectors.remembering import RememberingReference
from gateway.config import EndpointConfig
from gateway.errors import OperatorError
from gateway.training.costs import purifying
from gateway.training.differentiating import gradients_of
from gateway.training.examples import Made, make
from gateway.training.hardening import harden
from gateway.training.passes import Chunked, Progress
from gateway.training.prepare import Prepared
from gateway.training.selecting import Selection, select
from gateway.training.splits import MIN_TRAIN
from models.specs import load_model


@dataclass(frozen=True, slots=True)
class Learning:
    """`quick`: seconds instead of minutes. `harden`: so many rounds of attacks that know the combiner. `select` chooses
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
    selection: Selection | None = None


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
    reference = _reference(settings, prepared, folder, learning, progress)
    if not settings.selects:
        made = learned_from(settings, prepared, folder, learning, progress, reference)
        return Learned(settings, prepared, made, reference)
    made, train = _made(settings, prepared, folder, learning, progress), reference.view
    if "train" in prepared.parts:
        train = View(prepared.read("train").batch, Chunked(prepared.backend))
    limit, spent = settings.cost, purifying(settings)
    chosen = select(reference, train, made.examples, settings.budget, limit=limit, spent=spent, progress=progress)
    settings = settings.model_copy(update={"chain": chosen.stages})
    made = _hardened(made, settings, reference, learning, progress)
    return Learned(settings, without_idle_layers(settings, prepared, folder), made, reference, chosen)


def _reference(
    settings: EndpointConfig, prepared: Prepared, folder: Path, learning: Learning, progress: Progress
) -> RememberingReference:
    rows, spec = prepared.read("reference"), prepared.backend.spec
    return RememberingReference(
        View(rows.batch, Chunked(prepared.backend, progress)),
        spec,
        rows.y,
        settings.seed,
        effort=Effort(learning.quick, progress),
        gradients=gradients_of(prepared.spec, folder, prepared.backend, rows.batch),
    )


def without_idle_layers(settings: EndpointConfig, prepared: Prepared, folder: Path) -> Prepared:
    """The model without layers that were only looked for and that no chosen stage looks at."""
    if settings.model.layers != "none" or any("layers" in stage.detector.needed() for stage in settings.chain):
        return prepared
    spec = prepared.spec.model_copy(update={"layers": "none"})
    return replace(prepared, spec=spec, backend=load_model(spec, folder))


def learned_from(
    settings: EndpointConfig,
    prepared: Prepared,
    folder: Path,
    learning: Learning,
    progress: Progress,
    reference: Reference,
) -> Made:
    """Examples made of the *train* rows; none where no stage learns. The model's path is relative to `folder`."""
    if not any(isinstance(stage.detector, CombinerSpec) for stage in settings.chain):
        return Made(None, ())
    made = _made(settings, prepared, folder, learning, progress)
    return _hardened(made, settings, reference, learning, progress)


def _made(settings: EndpointConfig, prepared: Prepared, folder: Path, learning: Learning, progress: Progress) -> Made:
    if "train" not in prepared.parts:
        return Made(None, (f"no attacks to learn from: the holdout is too small for {MIN_TRAIN} rows more",))
    return make(
        prepared.spec,
        folder,
        prepared.backend,
        prepared.read("train"),
        prepared.read("reference"),
        seed=settings.seed,
        quick=learning.quick,
        progress=progress,
    )


def _hardened(
    made: Made, settings: EndpointConfig, reference: Reference, learning: Learning, progress: Progress
) -> Made:
    """After the rounds that are asked for, against the first combiner of the chain."""
    combiners = [stage.detector for stage in settings.chain if isinstance(stage.detector, CombinerSpec)]
    if not combiners:
        return made
    return harden(
        made,
        combiners[0],
        reference,
        rounds=learning.harden,
        budget=settings.budget.flag,
        quick=learning.quick,
        progress=progress,
    )
