"""`watchgate calibrate`: from a config to a bundle and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

import numpy as np

from defenses.base import Effort, Purifier, Unsuitable
from gateway.config import Config, EndpointConfig
from gateway.disclosure import Disclosure
from gateway.errors import OperatorError
from gateway.training import drift, labels, queries, sample, seen
from gateway.training.bundle import FORMAT, Draft, drafting, sha256, version_of
from gateway.training.costs import allowance
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain
from gateway.training.fitting import fit
from gateway.training.learning import THOROUGH, Learning, asked, learn
from gateway.training.loading import calibrated_part, stage_info
from gateway.training.measuring import Measured, measure
from gateway.training.passes import Chunked, Progress, silent
from gateway.training.prepare import Prepared, prepare
from gateway.training.report import Report, StageReport
from models.batch import Array
from models.errors import ModelError

_LOOKED_AT = 2000  # rows of either side whose loss is compared
_PACKAGES = ("watchgate", "numpy", "scipy", "onnx", "onnxruntime", "torch")


def calibrate(
    config: Config,
    endpoint: str,
    *,
    progress: Progress | None = None,
    saw_training: bool | Callable[[], bool | None] | None = None,
    learning: Learning = THOROUGH,
) -> Report:
    """Fits the endpoint's chain, sets its cuts, measures it, and writes its bundle.

    `saw_training` says whether the model was trained on the reference; it matters only without a holdout, and may be
    a question that is asked only then. None is "not known". `learning` is for stages that learn from attacks.

    Raises:
        OperatorError: the model can't be loaded or told, the data does not fit it, a stage does not suit it, or the
            budget needs more rows.
    """
    settings = config.endpoints.get(endpoint)
    if settings is None:
        known = ", ".join(sorted(config.endpoints))
        raise OperatorError(f"endpoints: expected one of {known}, found {endpoint!r}")
    shown = progress or silent
    try:
        with drafting(config.bundle, endpoint) as draft:
            return _calibrate(config, endpoint, settings, draft, shown, saw_training, learning)
    except ModelError as error:
        raise OperatorError(f"endpoints.{endpoint}.model: {error}") from error
    except OperatorError as error:
        if str(error).startswith("answers: "):
            raise OperatorError(f"endpoints.{endpoint}.{error}") from error
        if str(error).startswith(("chain[", "chain: ", "cost: ", "budget", "stage ", "purify[")):
            raise OperatorError(f"endpoints.{endpoint}: {error}") from error
        raise


def _calibrate(
    config: Config,
    name: str,
    settings: EndpointConfig,
    draft: Draft,
    progress: Progress,
    saw_training: bool | Callable[[], bool | None] | None,
    learning: Learning,
) -> Report:
    stated, settings = settings, asked(settings, learning)
    prepared = prepare(settings, draft)
    Disclosure.of(settings.answers, prepared.spec.outputs, prepared.backend.outputs)  # refuses what serve would
    purifiers = _purifiers(settings, prepared, draft, Effort(learning.quick, progress))
    learned = learn(settings, prepared, draft.folder, learning, progress)
    settings, prepared, selection = learned.settings, learned.prepared, learned.selection
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
    measured = measure(fitted, prepared.backend, purifiers, prepared.read("check"), progress)
    if selection is not None and learning.written:  # as the config will have it
        stated = stated.model_copy(update={"chain": selection.stages, "selects": False})
    manifest = _manifest(config, name, stated, prepared, fitted, draft)
    report = Report(
        endpoint=name,
        version=manifest["version"],
        bundle=str(config.bundle / name),
        guarantee=settings.budget.guarantee,
        rows=prepared.counts,
        stages=_stages(fitted, measured),
        measured=measured,
        notes=(
            *prepared.notes,
            *learned.made.notes,
            *(() if selection is None else selection.notes),
            *known,
            *_spared(fitted),
        ),
        warnings=(*_warnings(settings, prepared, saw_training), *_untrusted(settings)),
        limit=settings.cost,
        selection=selection,
    )
    draft.write({**manifest, "report": report.to_json()})
    progress("done", 1, 1)
    return report


def _purifiers(
    settings: EndpointConfig, prepared: Prepared, draft: Draft, effort: Effort
) -> list[tuple[Purifier, str]]:
    built: list[tuple[Purifier, str]] = []
    x = prepared.read("reference").batch.x if settings.purify else None
    for index, step in enumerate(settings.purify):
        try:
            step.purifier.refuse_unsuitable(prepared.backend.spec)
            arrays = step.purifier.train(np.asarray(x), prepared.backend.spec, effort)
            purifier = step.purifier.build(prepared.backend.spec, arrays)
        except (Unsuitable, ValueError) as error:
            raise OperatorError(f"purify[{index}] ({step.purifier.kind}): {error}") from error
        if arrays:
            draft.add_arrays(f"purifier-{index}.npz", arrays)
        built.append((purifier, step.when))
    return built


def _stages(fitted: FittedChain, measured: Measured) -> tuple[StageReport, ...]:
    return tuple(
        StageReport(
            stage_info(stage.stage, fitted.policy), stage.config.detector.kind, stage.config.when, found, stage.notes
        )
        for stage, found in zip(fitted.stages, measured.stages, strict=True)
    )


def _manifest(
    config: Config,
    name: str,
    settings: EndpointConfig,
    prepared: Prepared,
    fitted: FittedChain,
    draft: Draft,
) -> dict[str, Any]:
    cuts = None if fitted.flag is None else {"flag": fitted.policy.flag_cut, "reject": fitted.policy.reject_cut}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "endpoint": name,
        "files": draft.files,
        "model": prepared.spec.model_dump(mode="json"),
        "calibrated": calibrated_part(settings, config.bundle.parent),
        "shadow": [stage.config.name for stage in fitted.stages if stage.config.mode == "shadow"],
        "cuts": cuts,
        "guarantees": {
            which: None if cut is None else asdict(cut)
            for which, cut in (("flag", fitted.flag), ("reject", fitted.reject))
        },
        "source": sha256(settings.model.path),
        "data": prepared.digests,
        "packages": _packages(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if settings.selects:
        manifest["selected"] = [stage.config.model_dump(mode="json") for stage in fitted.stages]
    return {**manifest, "version": version_of(manifest)}


def _packages() -> dict[str, str]:
    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return {package: installed[package] for package in _PACKAGES if package in installed}


def _spared(fitted: FittedChain) -> list[str]:
    """For the sake of which wear less of a budget is used than honest rows without any would let be."""
    cuts = {"flagging": fitted.flag, "rejecting": fitted.reject}
    return [
        f"the cut for {what} is lower than honest rows alone would have it, to spare those with the wear {cut.spared}"
        for what, cut in cuts.items()
        if cut is not None and cut.spared
    ]


def _untrusted(settings: EndpointConfig) -> list[str]:
    stages = [(stage.name, ", ".join(stage.detector.code())) for stage in settings.chain if not stage.trust]
    return [
        f"stage {name}: scores rows with code that the bundle does not hold ({code}): "
        "`serve` will refuse it unless its entry says `trust: true`"
        for name, code in stages
        if code
    ]


def _warnings(
    settings: EndpointConfig, prepared: Prepared, saw_training: bool | Callable[[], bool | None] | None
) -> list[str]:
    if not settings.chain:
        return []
    signs = _signs(prepared, settings.seed)
    harm = "thresholds set on rows a model was trained on flag unseen honest rows several times more often than stated"
    if settings.holdout is not None:
        return [f"the holdout looks like rows the model was trained on: {sign}; {harm}" for sign in signs]
    answer = saw_training() if callable(saw_training) else saw_training
    if answer:
        return [f"NO HOLDOUT, and the model was trained on the reference: don't rely on this budget; {harm}"]
    if signs:
        looks = f"NO HOLDOUT, and the reference LOOKS like rows the model was trained on: {'; '.join(signs)}"
        return [f"{looks}: name a `holdout` that it never saw; {harm}"]
    if answer is None:
        return [f"no holdout: the reference was split; name a `holdout` if the model was trained on it: {harm}"]
    return []


def _signs(prepared: Prepared, seed: int) -> list[str]:
    """Looked for last: it reads calibrate rows, and nothing may be set after that."""
    reference = prepared.read("reference")
    parts = [prepared.read(part) for part in ("rank", "calibrate", "check")]
    batch = parts[0].batch.concat([part.batch for part in parts])
    labels = [part.y for part in parts if part.y is not None]
    holdout = Rows(batch, np.concatenate(labels) if len(labels) == len(parts) else None)
    rng = np.random.default_rng(seed)
    ours, theirs = (_some(rows, rng) for rows in (reference, holdout))
    backend = Chunked(prepared.backend)
    return seen.copies(reference.batch.x, holdout.batch.x, seed) + seen.memory(
        backend.predict(ours.batch), ours.y, backend.predict(theirs.batch), theirs.y
    )


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    picked: Array = np.sort(rng.permutation(len(rows))[:_LOOKED_AT])
    return Rows(rows.batch.take(picked), None if rows.y is None else rows.y[picked])
