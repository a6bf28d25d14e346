"""One sentence an endpoint: what an operator who was just woken up should look at first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detectors.conformal import clopper_pearson
from gateway.console.standing import NOT_WATCHED, Standing
from gateway.console.totals import Totals

Level = Literal["calm", "look", "act"]
_FEW = 20  # stopped rows below which a share says little
_SILENT = 12.0  # rows that were to be flagged and of which not one was: chance alone does that once in 160,000


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentence is made from, of the stretch of time that `added` counts.

    `version` is the chain that served the newest trace, `calibrated` the one in the bundle now. `stages` and
    `principals` are those of flagged and rejected requests, the most frequent first.
    """

    endpoint: str
    added: Totals
    flag_budget: float | None
    reject_budget: float | None
    shadow: bool
    workers: int
    version: str | None
    calibrated: str | None
    stages: tuple[tuple[str, int], ...] = ()
    principals: tuple[tuple[str, int], ...] = ()
    drift: Standing = NOT_WATCHED


@dataclass(frozen=True, slots=True)
class Attention:
    """`act`: the guard does not work as promised. `look`: it works, and something is going on. `calm`: neither."""

    level: Level
    text: str


def attention(facts: Facts) -> Attention:
    """The most pressing thing there is to say."""
    return _trouble(facts) or _over_budget(facts) or _drift(facts) or _oddities(facts) or _calm(facts)


def _trouble(facts: Facts) -> Attention | None:
    added = facts.added
    if facts.workers == 0:
        return Attention("act", "No worker serves it: callers get no answers.")
    if added.stage_errors:
        errors = _count(added.stage_errors, "time")
        return Attention("act", f"A stage failed {errors}: those requests had less protection, or no answer.")
    if added.lost or added.dropped:
        lost = _count(max(added.lost, added.dropped), "verdict")
        return Attention("act", f"{lost} did not reach the trace store: look at its disk and at the server's log.")
    if added.failed and added.failed >= 0.01 * max(added.requests, 1):
        share = added.failed / added.requests
        return Attention("act", f"{share:.1%} of requests failed with a 5xx answer: look at the server's log.")
    return None


def _over_budget(facts: Facts) -> Attention | None:
    for verb, hits, budget in (
        ("rejected", facts.added.rejected, facts.reject_budget),
        ("flagged or rejected", facts.added.suspicious, facts.flag_budget),
    ):
        rows = facts.added.rows
        if budget is None or hits < _FEW or not rows:
            continue
        if clopper_pearson(int(hits), int(rows))[0] > budget:
            would = "would have been " if facts.shadow else ""
            head = f"{hits / rows:.1%} of rows {would or 'were '}{verb}; of honest ones {budget:.1%} may be"
            drift = f" Also, {facts.drift.sentence}." if facts.drift.drifted else ""
            return Attention("look", f"{head}: an attack, a broken client or a changed world.{_blame(facts)}{drift}")
    return None


def _drift(facts: Facts) -> Attention | None:
    if facts.drift.drifted:
        return Attention("look", f"Drift: {facts.drift.sentence}. A broken client, or a changed world.")
    if facts.drift.trouble is not None:
        return Attention("look", f"Whether it drifts is not known: {facts.drift.trouble}")
    return None


def _blame(facts: Facts) -> str:
    count = sum(n for _, n in facts.stages)
    if not count:
        return ""
    (stage, decided), *_ = facts.stages
    text = f" {decided / count:.0%} of them were decided by {stage}"
    if facts.principals:
        principal, sent = facts.principals[0]
        text += f", {sent / count:.0%} came from {principal or 'unknown'}"
    return text + "."


def _oddities(facts: Facts) -> Attention | None:
    added = facts.added
    if facts.version is not None and facts.calibrated is not None and facts.version != facts.calibrated:
        return Attention(
            "look", "It was calibrated again since its newest trace: a restart of `serve` loads the new bundle."
        )
    if facts.flag_budget and not added.suspicious and added.rows * facts.flag_budget >= _SILENT:
        due = added.rows * facts.flag_budget
        return Attention(
            "look", f"Nothing was flagged in {added.rows:,.0f} rows, where about {due:,.0f} were to be expected."
        )
    if added.export_lost:
        return Attention("look", f"{_count(added.export_lost, 'trace')} did not reach the OTLP receiver.")
    if added.refused >= _FEW and added.refused > 0.1 * added.requests:
        return Attention(
            "look", f"{added.refused / added.requests:.0%} of requests were malformed: a client is broken."
        )
    return None


def _calm(facts: Facts) -> Attention:
    if not facts.added.rows:
        return Attention("calm", "Nothing was asked of it in this time.")
    if facts.flag_budget is None:
        return Attention("calm", "It has no stages: every row is answered as the model does.")
    return Attention("calm", "Nothing needs attention: what was stopped is within the budget for honest rows.")


def _count(number: float, noun: str) -> str:
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"
