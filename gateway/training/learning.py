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
from gateway.training.prepare import Prepared, learns
from gateway.training.selecting import Selection, select, sparing
from gateway.training.splits import MIN_TRAIN
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
    wear = wear_of(settings, prepared)
    reference = _reference(settings, prepared, folder, learning, progress, wear)
    if not settings.selects:
        made = learned_from(settings, prepared, folder, learning, progress, reference, wear)
        return Learned(settings, prepared, made, reference, spared(wear, made))
    made, train = _made(settings, prepared, folder, learning, progress, wear), reference.view
    if "train" in prepared.parts:
        train = View(prepared.read("train").batch, Chunked(prepared.backend))
    limit, spent = settings.cost, purifying(settings)
    chosen = select(
        reference,
        train,
        made.examples,
        settings.budget,
        limit=limit,
        spent=spent,
        thrifty=settings.wear == "auto",
        progress=progress,
    )
    settings = settings.model_copy(update={"chain": chosen.stages})
    made = replace(made, examples=chosen.examples)
    wear = spared(wear, made)
    made = _hardened(made, settings, reference, learning, progress)
    return Learned(settings, without_idle_layers(settings, prepared, folder), made, reference, wear, chosen)


def wear_of(settings: EndpointConfig, prepared: Prepared) -> Wear | None:
    """The wear that honest rows may come with; None where the config says none, or this kind of input knows none.

    A chain of which no stage learns can't tell what sparing such rows costs: only an operator may ask for it.
    """
    if settings.wear == "none" or (settings.wear == "auto" and not learns(settings)):
        return None
    return Wear.learn(prepared.read("reference").batch, prepared.backend, settings.seed)


def _reference(
    settings: EndpointConfig,
    prepared: Prepared,
    folder: Path,
    learning: Learning,
    progress: Progress,
    wear: Wear | None,
) -> RememberingReference:
    rows, spec = prepared.read("reference"), prepared.backend.spec
    made = {} if wear is None else wear.each(rows.batch, prepared.backend, settings.seed, _WORN_ROWS)
    return RememberingReference(
        View(rows.batch, Chunked(prepared.backend, progress)),
        spec,
        rows.y,
        settings.seed,
        effort=Effort(learning.quick, progress),
        gradients=gradients_of(prepared.spec, folder, prepared.backend, rows.batch),
        worn={kind: View(batch, Chunked(prepared.backend)) for kind, batch in made.items()},
    )


def spared(wear: Wear | None, made: Made) -> Wear | None:
    """The wear with only the kinds that the examples have, where there are some."""
    if wear is None or made.examples is None:
        return wear
    return replace(wear, kinds=tuple(kind for kind in wear.kinds if kind in made.examples.worn))


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
    reference: RememberingReference,
    wear: Wear | None,
) -> Made:
    """Examples made of the *train* rows; none where no stage learns. The model's path is relative to `folder`."""
    if not any(isinstance(stage.detector, CombinerSpec) for stage in settings.chain):
        return Made(None, ())
    made = _made(settings, prepared, folder, learning, progress, wear)
    if made.examples is not None and settings.wear == "auto":
        examples, notes = sparing(reference, made.examples, settings.budget, progress)
        made = replace(made, examples=examples, notes=(*made.notes, *notes))
    return _hardened(made, settings, reference, learning, progress)


def _made(
    settings: EndpointConfig,
    prepared: Prepared,
    folder: Path,
    learning: Learning,
    progress: Progress,
    wear: Wear | None,
) -> Made:
    if "train" not in prepared.parts:
        return Made(None, (f"no attacks to learn from: the holdout is too small for {MIN_TRAIN} rows more",))
    return make(
        prepared.spec,
        folder,
        prepared.backend,
        prepared.read("train"),
        prepared.read("reference"),
        wear=wear,
        seed=settings.seed,
        quick=learning.quick,
        progress=progress,
    )


def _hardened(
    made: Made, settings: EndpointConfig, reference: Reference, learning: Learning, progress: Progress
) -> Made:
    """After the rounds that are asked for, against the whole chain; without a combiner there is nothing to learn."""
    if not any(isinstance(stage.detector, CombinerSpec) for stage in settings.chain):
        return made
    return harden(
        made,
        settings.chain,
        reference,
        rounds=learning.harden,
        budget=settings.budget.flag,
        quick=learning.quick,
        progress=progress,
    )
