"""`watchgate calibrate --from-traffic`: new cuts on rows of production; all else of the bundle stays as it is.

The chain statistic is frozen in the bundle, and no row of production took part in it: the guarantee is the same as that
of held-out rows, if the sample is of honest rows. Rows of every verdict are in it. Those that were only allowed lie
above the old cut, and a cut on them would leave a larger share of honest rows below it each time.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np

from detectors.conformal import CertainRows, Cut, TooFewRows, cut, rows_needed
from gateway.config import Budget, Config
from gateway.endpoint import Endpoint
from gateway.errors import OperatorError
from gateway.policy import Policy
from gateway.training import traffic
from gateway.training.bundle import Bundle, Draft, drafting, version_of
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain, FittedStage
from gateway.training.loading import load_endpoint, stage_info
from gateway.training.measuring import Measured, measure
from gateway.training.passes import Progress, silent
from gateway.training.report import Report, StageReport
from gateway.training.splits import CHECK, MIN_CHECK
from gateway.training.statistic import statistic_of
from models.batch import Batch

_STATISTIC = "calibrated.npz"


@dataclass(frozen=True, slots=True)
class _Recut:
    endpoint: Endpoint
    found: traffic.Traffic
    fitted: FittedChain
    calibrated: int  # rows that set the cuts
    below: tuple[float, float]  # shares of these rows that the old cuts flag and reject


def recut(config: Config, name: str, progress: Progress = silent) -> Report:
    """Sets the endpoint's cuts on its sample of production rows, measures them on rows apart, and writes the bundle.

    Raises:
        OperatorError: there is no bundle for this config, no sample, or too few rows for the budget.
    """
    if name not in config.endpoints:
        raise OperatorError(f"endpoints: expected one of {', '.join(sorted(config.endpoints))}, found {name!r}")
    endpoint = load_endpoint(config, name)
    budget, chain = endpoint.config.budget, endpoint.chain
    if not chain.stages:
        raise OperatorError(f"endpoints.{name}.chain: expected stages whose cuts could be set, found none")
    found = traffic.read(config, name, chain.backend)
    calibrate, check = _split(found.batch, budget, name)
    fitted, below = _cut(endpoint, calibrate, budget, progress)
    done = _Recut(endpoint, found, fitted, len(calibrate), below)
    purifiers = [(step.purifier, "always" if step.always else "flagged") for step in chain.purify]
    measured = measure(fitted, chain.backend, purifiers, Rows(check), progress)
    with drafting(config.bundle, name) as draft:
        return _write(config, draft, done, measured)


def _split(batch: Batch, budget: Budget, name: str) -> tuple[Batch, Batch]:
    """Rows that set the cuts, and rows that measure them; they come in random order."""
    needed, n = rows_needed(budget.reject, budget.guarantee) + MIN_CHECK, len(batch)
    if n < needed:
        raise OperatorError(
            f"endpoints.{name}: a reject budget of {budget.reject:g} (guarantee: {budget.guarantee}) needs {needed} "
            f"rows of production, found {n}: wait for more, or keep more with `state.capture.traffic_rows`"
        )
    check = min(max(round(CHECK * n), MIN_CHECK), n - needed + MIN_CHECK)
    return batch.take(slice(check, n)), batch.take(slice(0, check))


def _cut(
    endpoint: Endpoint, batch: Batch, budget: Budget, progress: Progress
) -> tuple[FittedChain, tuple[float, float]]:
    """The chain with new cuts, and the shares of these rows that the old ones flag and reject."""
    stages = tuple(replace(stage, timeout_ms=None) for stage in endpoint.chain.stages)
    statistic, _ = statistic_of(stages, endpoint.chain.backend, batch, progress)
    try:
        flag, reject = (cut(statistic, each, budget.guarantee) for each in (budget.flag, budget.reject))
    except (TooFewRows, CertainRows) as error:
        raise OperatorError(f"endpoints.{endpoint.name}: {error}") from None
    fitted = tuple(
        FittedStage(config, stage.detector, {}, stage.tail, stage.gate, ())
        for config, stage in zip(endpoint.config.chain, stages, strict=True)
    )
    old = endpoint.chain.policy
    below = float((statistic < old.flag_cut).mean()), float((statistic < old.reject_cut).mean())
    policy = Policy(flag.value, reject.value, np.sort(statistic))
    return FittedChain(fitted, policy, flag, reject), below


def _write(config: Config, draft: Draft, done: _Recut, measured: Measured) -> Report:
    name = done.endpoint.name
    old = Bundle.open(config.bundle, name)
    _carry_over(old, draft)
    draft.add_arrays(_STATISTIC, {"statistic": done.fitted.policy.calibrated})
    manifest = _manifest(old, draft, done)
    report = Report(
        endpoint=name,
        version=manifest["version"],
        bundle=str(config.bundle / name),
        guarantee=done.endpoint.config.budget.guarantee,
        rows={"calibrate": done.calibrated, "check": measured.rows},
        stages=_stages(done, measured),
        measured=measured,
        notes=(_shift(done), _source(done.found)),
        warnings=(_poison(done.found, done.calibrated + measured.rows),),
        limit=done.endpoint.config.cost,
    )
    draft.write({**manifest, "report": report.to_json()})
    return report


def _carry_over(old: Bundle, draft: Draft) -> None:
    """All files but the statistic of the rows that set the old cuts."""
    for file, digest in old.manifest["files"].items():
        if file != _STATISTIC:
            target = draft.folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old.folder / file, target)
            draft.files[file] = digest


def _manifest(old: Bundle, draft: Draft, done: _Recut) -> dict[str, Any]:
    fitted = done.fitted
    manifest: dict[str, Any] = {
        **old.manifest,
        "files": draft.files,
        "cuts": {"flag": fitted.policy.flag_cut, "reject": fitted.policy.reject_cut},
        "guarantees": {"flag": _plain(fitted.flag), "reject": _plain(fitted.reject)},
        "data": {**old.manifest["data"], "traffic": done.found.digest},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    manifest["version"] = version_of(manifest)
    return manifest


def _plain(cut: Cut | None) -> dict[str, Any] | None:
    return None if cut is None else asdict(cut)


def _stages(done: _Recut, measured: Measured) -> tuple[StageReport, ...]:
    return tuple(
        StageReport(stage_info(stage.stage, done.fitted.policy), stage.config.detector.kind, stage.config.when, each)
        for stage, each in zip(done.fitted.stages, measured.stages, strict=True)
    )


def _shift(done: _Recut) -> str:
    """How far the cuts moved, and what the old ones do to these rows."""
    old, new = done.endpoint.chain.policy, done.fitted.policy
    return (
        f"the cuts moved: flag {old.flag_cut:.4g} to {new.flag_cut:.4g}, reject {old.reject_cut:.4g} to "
        f"{new.reject_cut:.4g}; the old ones flag {done.below[0]:.2%} and reject {done.below[1]:.2%} of these rows"
    )


def _source(found: traffic.Traffic) -> str:
    since = datetime.fromtimestamp(found.since_ns / 1e9, timezone.utc).isoformat(timespec="seconds")
    left_out = f"; {found.left_out} rows of attacks or marked principals are left out" if found.left_out else ""
    return f"rows of {found.principals} principals since {since}{left_out}"


def _poison(found: traffic.Traffic, rows: int) -> str:
    return (
        f"these {rows} rows came from callers, and whoever sends odd rows moves the cuts to let more of them through; "
        f"one principal sent {found.largest:.1%} of them; first mark attacks as such (`watchgate traces mark`)"
    )
