"""`watchgate calibrate`: from a config to a bundle and a report."""

from __future__ import annotations

from defenses.base import Effort
from gateway.config import Config
from gateway.disclosure import Disclosure
from gateway.errors import OperatorError
from gateway.training import drift, labels, queries, sample
from gateway.training.bundle import Draft, drafting
from gateway.training.cautions import Saw, warnings_of
from gateway.training.costs import allowance
from gateway.training.fitted import FittedChain
from gateway.training.fitting import fit
from gateway.training.learning import THOROUGH, Learned, Learning, asked, learn
from gateway.training.loading import stage_info
from gateway.training.manifest import manifest_of
from gateway.training.measuring import Measured, measure
from gateway.training.passes import Progress, silent
from gateway.training.prepare import prepare
from gateway.training.purifying import trained
from gateway.training.report import Report, StageReport
from models.errors import ModelError


def calibrate(
    config: Config,
    endpoint: str,
    *,
    progress: Progress | None = None,
    saw_training: Saw = None,
    learning: Learning = THOROUGH,
) -> Report:
    """Fits the endpoint's chain, sets its cuts, measures it, and writes its bundle.

    `saw_training` says whether the model was trained on the reference; it matters only without a holdout, and may be
    a question that is asked only then. None is "not known". `learning` is for stages that learn from attacks.

    Raises:
        OperatorError: the model can't be loaded or told, the data does not fit it, a stage does not suit it, or the
            budget needs more rows.
    """
    if endpoint not in config.endpoints:
        known = ", ".join(sorted(config.endpoints))
        raise OperatorError(f"endpoints: expected one of {known}, found {endpoint!r}")
    try:
        with drafting(config.bundle, endpoint) as draft:
            return _calibrate(config, endpoint, draft, progress or silent, saw_training, learning)
    except ModelError as error:
        raise OperatorError(f"endpoints.{endpoint}.model: {error}") from error
    except OperatorError as error:
        if str(error).startswith("answers: "):
            raise OperatorError(f"endpoints.{endpoint}.{error}") from error
        if str(error).startswith(("chain[", "chain: ", "cost: ", "budget", "stage ", "purify[")):
            raise OperatorError(f"endpoints.{endpoint}: {error}") from error
        raise


def _calibrate(
    config: Config, name: str, draft: Draft, progress: Progress, saw_training: Saw, learning: Learning
) -> Report:
    stated = config.endpoints[name]
    settings = asked(stated, learning)
    prepared = prepare(settings, draft)
    Disclosure.of(settings.answers, prepared.spec.outputs, prepared.backend.outputs)  # refuses what serve would
    purifiers = trained(settings, prepared, draft, Effort(learning.quick, progress))
    learned = learn(settings, prepared, draft.folder, learning, progress)
    settings, prepared, selection = learned.settings, learned.prepared, learned.selection
    fitted, known = _fitted(name, learned, draft, progress)
    measured = measure(fitted, prepared.backend, purifiers, prepared.read("check"), progress)
    if selection is not None and learning.written:  # as the config will have it
        stated = stated.model_copy(update={"chain": selection.stages, "selects": False})
    manifest = manifest_of(config, name, stated, prepared, fitted, draft)
    chosen = () if selection is None else selection.notes
    report = Report(
        endpoint=name,
        version=manifest["version"],
        bundle=str(config.bundle / name),
        guarantee=settings.budget.guarantee,
        rows=prepared.counts,
        stages=_stages(fitted, measured),
        measured=measured,
        notes=(*prepared.notes, *learned.made.notes, *chosen, *known, *_spared(fitted)),
        warnings=warnings_of(settings, prepared, saw_training),
        limit=settings.cost,
        selection=selection,
    )
    draft.write({**manifest, "report": report.to_json()})
    progress("done", 1, 1)
    return report


def _fitted(name: str, learned: Learned, draft: Draft, progress: Progress) -> tuple[FittedChain, tuple[str, ...]]:
    """The chain and what is tracked beside it, all put into the draft; and what a person should know of the latter."""
    settings, prepared = learned.settings, learned.prepared
    fitted = fit(
        settings.chain,
        prepared.backend,
        prepared.read,
        settings.budget,
        allowance=allowance(settings),
        taught=learned.taught,
        seed=settings.seed,
        progress=progress,
    )
    for index, stage in enumerate(fitted.stages):
        draft.add_stage(index, stage)
    draft.add_arrays("calibrated.npz", {"statistic": fitted.policy.calibrated})
    known = queries.fit(name, settings, prepared, draft) + drift.fit(name, settings, prepared, fitted, draft)
    known += labels.fit(name, settings, prepared, fitted, draft)
    sample.add(settings, prepared, draft)
    return fitted, known


def _stages(fitted: FittedChain, measured: Measured) -> tuple[StageReport, ...]:
    return tuple(
        StageReport(
            stage_info(stage.stage, fitted.policy), stage.config.detector.kind, stage.config.when, found, stage.notes
        )
        for stage, found in zip(fitted.stages, measured.stages, strict=True)
    )


def _spared(fitted: FittedChain) -> list[str]:
    """For the sake of which wear less of a budget is used than honest rows without any would let be."""
    cuts = {"flagging": fitted.flag, "rejecting": fitted.reject}
    return [
        f"the cut for {what} is lower than honest rows alone would have it, to spare those with the wear {cut.spared}"
        for what, cut in cuts.items()
        if cut is not None and cut.spared
    ]
