"""Alarms as an evaluation writes them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.tracking.drift.report import DriftAlarm

AT_S = 1_780_000_000.0


@dataclass(frozen=True)
class _Made:
    started: bool

    def __call__(self, series: str = "column <a>", endpoint: str = "digits") -> DriftAlarm:
        at_s = AT_S + (60.0 if self.started else 600.0)
        return DriftAlarm(endpoint, "c0ffee", series, 178, self.started, at_s, AT_S, "shift", 7.25, 4.125, 0.31, 400)


started, ended = _Made(True), _Made(False)
