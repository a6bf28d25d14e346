"""`/calibration/ENDPOINT`: what was promised and measured, and what the operator's marks say of it."""

from __future__ import annotations

import time
from datetime import datetime

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.console.calibration import Calibration
from gateway.console.distribution import chain_curve, tail_curve
from gateway.console.falsealarms import FalseAlarms, false_alarms
from gateway.console.rendering import message, render, source_of
from gateway.console.sampler import decoded
from gateway.console.source import Source
from gateway.console.suggestion import with_budget
from gateway.console.totals import Totals, totals_of


def page(request: Request) -> Response:
    """The whole page."""
    source, endpoint = source_of(request), request.path_params["endpoint"]
    found = source.calibration(endpoint) if endpoint in source.config.endpoints else None
    if found is None:
        return message(request, 404, "Not calibrated", f"There is no bundle of {endpoint}: run `watchgate calibrate`.")
    report = found.report
    curves = {
        stage["name"]: tail_curve(found.tails[stage["name"]], stage["flag_score"], stage["reject_score"], stage["name"])
        for stage in report["stages"]
    }
    cuts = [None if report[which] is None else float(report[which]["cut"]) for which in ("flag", "reject")]
    alarms = _alarms(source, endpoint, found)
    with source.store() as store:
        marks = store.marks.all(endpoint)[:50]
    return render(
        request,
        "calibration.html",
        endpoint=endpoint,
        calibration=found,
        report=report,
        curves=curves,
        whole=chain_curve(found.statistic, *cuts),
        alarms=alarms,
        suggested=_suggested(alarms, found),
        marks=marks,
    )


def suggestion(request: Request) -> Response:
    """The operator's config with the suggested budget, to download."""
    source, endpoint = source_of(request), request.path_params["endpoint"]
    found = source.calibration(endpoint) if endpoint in source.config.endpoints else None
    budget = {} if found is None else _suggested(_alarms(source, endpoint, found), found)
    if not budget:
        return message(request, 404, "No suggestion", "The marks do not contradict the promise.")
    head = f"# Suggested by the watchgate console on {time.strftime('%Y-%m-%d')}: another budget for {endpoint}.\n"
    try:
        text = head + with_budget(source.path.read_text(encoding="utf-8"), endpoint, budget)
    except (OSError, KeyError, ValueError) as error:
        return message(request, 404, "No suggestion", f"{source.path.name} can't be read: {error}")
    named = {"content-disposition": 'attachment; filename="watchgate-suggested.yaml"'}
    return PlainTextResponse(text, headers=named)


def _alarms(source: Source, endpoint: str, found: Calibration) -> list[FalseAlarms]:
    added = _counted(source, endpoint, int(datetime.fromisoformat(found.created).timestamp()))
    with source.store() as store:
        marks = store.marks.all(endpoint, found.version)
    budgets = [(which, found.budget(which)) for which in ("flag", "reject")]
    return [false_alarms(marks, added, which, budget) for which, budget in budgets if budget is not None]


def _counted(source: Source, endpoint: str, since_s: int) -> Totals:
    """What was counted since then, as far back as the counters were written down."""
    span_s = max(1, int(time.time()) - since_s)
    with source.store() as store:
        points = store.history.points(endpoint, since_s, max(10, span_s // 100))
    latest = totals_of(source.numbers(), endpoint)
    return latest.since(decoded(points[0][1])) if points else latest


def _suggested(alarms: list[FalseAlarms], found: Calibration) -> dict[str, float]:
    """Budgets that would bring the rates back; {} where no mark contradicts the promise."""
    wanted = {one.which: one.suggested if one.suggested is not None else one.budget for one in alarms}
    if all(one.suggested is None for one in alarms):
        return {}
    wanted["reject"] = min(wanted["reject"], wanted["flag"])
    return wanted
