"""How endpoints stand with drift, as numbers. They are the same in every worker, and never added up."""

from __future__ import annotations

import time
from collections.abc import Iterable

from gateway.metrics.meter import Numbers, key
from gateway.tracking.drift.report import DriftStatus
from gateway.tracking.tracker import Tracker


def drift_of(tracker: Tracker | None) -> Numbers:
    """What a worker's tracker knows of drift; {} where there is none."""
    if tracker is None:
        return {}
    found = drift_numbers(tracker.standings.current.values())
    flushed_s = tracker.stats().get("drift_flushed_s", 0)
    if flushed_s:
        found[key("watchgate_drift_flush_age_seconds", {})] = max(0.0, int(time.time()) - flushed_s)
    return found


def drift_numbers(statuses: Iterable[DriftStatus]) -> Numbers:
    """Of the last evaluation of each endpoint; a series has the kind of its statistic, which can change."""
    found: Numbers = {}
    for status in statuses:
        own = {"endpoint": status.endpoint}
        found[key("watchgate_drift_drifted", own)] = int(status.drifted)
        found[key("watchgate_drift_late_rows_total", own)] = status.late_rows
        for one in status.series:
            series = {**own, "series": one.name}
            found[key("watchgate_drift_statistic", {**series, "kind": one.kind})] = one.statistic
            found[key("watchgate_drift_threshold", {**series, "kind": one.kind})] = one.threshold
            found[key("watchgate_drift_series_drifted", series)] = int(one.drifted)
            found[key("watchgate_drift_window_rows", series)] = one.rows
    return found
