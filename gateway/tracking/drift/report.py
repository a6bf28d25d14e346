"""What the evaluation of drift tells everybody: how each series stands, and what alarmed."""

from __future__ import annotations

import msgspec


class SeriesStatus(msgspec.Struct, frozen=True):
    """One series at the last evaluation. `since_s` is in seconds since 1970 by the store; None while not drifted."""

    name: str
    kind: str
    statistic: float
    threshold: float
    psi: float
    rows: int  # of the window that says most
    drifted: bool
    since_s: float | None


class DriftStatus(msgspec.Struct, frozen=True):
    """One endpoint with one bundle at the last evaluation; under compare-and-set as `status_name(...)`."""

    endpoint: str
    bundle: str
    at_s: float
    rows: int  # evaluated since the start
    late_rows: int
    drifted: bool
    since_s: float | None
    series: tuple[SeriesStatus, ...]


class DriftAlarm(msgspec.Struct, frozen=True):
    """A series that began or ended to drift; put once as `alarm_name(...)`."""

    endpoint: str
    bundle: str
    series: str
    bucket: int
    started: bool
    at_s: float
    since_s: float
    kind: str
    statistic: float
    threshold: float
    psi: float
    rows: int


def sums_key(endpoint: str, bundle: str) -> str:
    """Where the sums of an endpoint's rows are kept; a bucket is the whole second in which it began."""
    return f"drift/sums/{endpoint}/{bundle}"


def state_name(endpoint: str, bundle: str) -> str:
    """Where the state of an endpoint's evaluation is kept: `gateway.tracking.drift.state` reads it."""
    return f"drift/state/{endpoint}/{bundle}"


def status_name(endpoint: str, bundle: str) -> str:
    """Where an endpoint's status is kept."""
    return f"drift/status/{endpoint}/{bundle}"


def history_prefix(endpoint: str) -> str:
    """What the names of an endpoint's earlier statuses begin with: each is put once, under this and its bucket."""
    return f"drift/history/{endpoint}/"


def alarm_prefix(endpoint: str) -> str:
    """What the names of an endpoint's alarms begin with."""
    return f"drift/alarm/{endpoint}/"


def alarm_name(alarm: DriftAlarm) -> str:
    """Where an alarm is kept: the same for all who evaluate the same bucket."""
    word = "started" if alarm.started else "ended"
    return f"{alarm_prefix(alarm.endpoint)}{alarm.bundle}/{alarm.bucket:012d}/{word}/{alarm.series}"
