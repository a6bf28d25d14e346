"""Reads what evaluations of drift wrote: how an endpoint stands, how it stood, and what alarmed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from detectors.drift.state import Window
from detectors.drift.sums import Sums
from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.evaluation import HISTORY_S
from gateway.tracking.drift.report import (
    DriftAlarm,
    DriftStatus,
    SeriesStatus,
    alarm_prefix,
    history_prefix,
    state_name,
    status_name,
    sums_key,
)
from gateway.tracking.drift.state import Unreadable, unpack
from gateway.tracking.feedback.report import AccuracyStatus, accuracy_name
from gateway.tracking.foreign.report import TrackerStatus, read_trackers
from gateway.training.bundle import MANIFEST

if TYPE_CHECKING:
    from gateway.config import Config, EndpointConfig

MOST = 10_000  # statuses of a history that are read
_DECODED = 720  # statuses that a course is made of, but for alarms: more than a picture has points
_AT_ONCE = 1000
D = TypeVar("D", DriftStatus, AccuracyStatus)


@dataclass(frozen=True, slots=True)
class Drift:
    """One endpoint: its last evaluation (None: there was none), earlier ones, oldest first; alarms, newest first.

    `accuracy` is None where no labels came; `trackers` are those that have said something.
    """

    endpoint: str
    status: DriftStatus | None = None
    history: tuple[DriftStatus, ...] = ()
    alarms: tuple[DriftAlarm, ...] = ()
    accuracy: AccuracyStatus | None = None
    trackers: tuple[TrackerStatus, ...] = ()

    @property
    def series(self) -> tuple[SeriesStatus, ...]:
        """Of rows, of labels and of other people's detectors: those that drift first, the farthest first."""
        rows = () if self.status is None else self.status.series
        labels = () if self.accuracy is None else self.accuracy.series
        others = (one.series for one in self.trackers if one.series is not None)
        return farthest_first([*rows, *labels, *others])

    @property
    def drifted(self) -> bool:
        """Whether any of them drifts."""
        return any(one.drifted for one in self.series)

    @property
    def since_s(self) -> float | None:
        """When the oldest drift that lasts began, in seconds since 1970."""
        return min((one.since_s for one in self.series if one.drifted and one.since_s is not None), default=None)


def bundle_of(config: Config, endpoint: str) -> str | None:
    """The version of the bundle that `serve` would load now; None where there is none."""
    try:
        manifest = json.loads((config.bundle / endpoint / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def watched(settings: EndpointConfig) -> bool:
    """Whether anything of the endpoint is watched: its rows, its labels, or its rows by other people's detectors."""
    return settings.drift is not None or settings.feedback is not None or bool(settings.trackers)


def read_standing(store: SharedStore, endpoint: str, bundle: str, settings: EndpointConfig) -> Drift:
    """How an endpoint stands, without what was.

    Raises:
        StoreError: the store can't be read now.
    """
    return Drift(
        endpoint,
        read_status(store, endpoint, bundle),
        accuracy=read_accuracy(store, endpoint, bundle),
        trackers=read_trackers(store, endpoint, bundle, [each.name for each in settings.trackers]),
    )


def read_drift(store: SharedStore, endpoint: str, bundle: str, settings: EndpointConfig, since_s: float) -> Drift:
    """All there is to show of an endpoint; its history since then.

    Raises:
        StoreError: the store can't be read now.
    """
    return replace(
        read_standing(store, endpoint, bundle, settings),
        history=read_history(store, endpoint, bundle, since_s),
        alarms=read_alarms(store, endpoint),
    )


def read_accuracy(store: SharedStore, endpoint: str, bundle: str) -> AccuracyStatus | None:
    """What labels say of an endpoint with this bundle; None where none came.

    Raises:
        StoreError: the store can't be read now.
    """
    return _loaded(store, accuracy_name(endpoint, bundle), AccuracyStatus)


def read_status(store: SharedStore, endpoint: str, bundle: str) -> DriftStatus | None:
    """The last evaluation of an endpoint with this bundle; None where there was none.

    Raises:
        StoreError: the store can't be read now.
    """
    return _loaded(store, status_name(endpoint, bundle), DriftStatus)


def read_history(store: SharedStore, endpoint: str, bundle: str, since_s: float = 0.0) -> tuple[DriftStatus, ...]:
    """Evaluations since then, the oldest first; of very many every so-manieth, and all in which something alarmed.

    Raises:
        StoreError: the store can't be read now.
    """
    start = history_prefix(endpoint)
    kept = store.values(start, f"{int(since_s):012d}", MOST)
    mine = sorted((name.removeprefix(start), value) for name, value in kept.items() if name.endswith(f"/{bundle}"))
    step = -(-len(mine) // _DECODED)
    last = len(mine) - 1
    chosen = [
        value
        for index, (name, value) in enumerate(mine)
        if index % step == 0 or index == last or int(name.split("/")[0]) % HISTORY_S
    ]
    found = (msgspec.json.decode(value, type=DriftStatus) for value in chosen)
    return tuple(sorted(found, key=lambda one: one.at_s))


def read_alarms(store: SharedStore, endpoint: str) -> tuple[DriftAlarm, ...]:
    """Alarms of all bundles, the newest first.

    Raises:
        StoreError: the store can't be read now.
    """
    values = store.values(alarm_prefix(endpoint)).values()
    found = (msgspec.json.decode(value, type=DriftAlarm) for value in values)
    return tuple(sorted(found, key=lambda alarm: (-alarm.at_s, alarm.started, alarm.series)))


def read_sums(
    store: SharedStore, endpoint: str, bundle: str, series: int, since_s: float = 0.0
) -> list[tuple[float, Sums]]:
    """Sums of all sealed buckets that began after then, and when each began, ascending.

    Raises:
        StoreError: the store can't be read now.
    """
    key, after = sums_key(endpoint, bundle), int(since_s)
    found: list[tuple[float, Sums]] = []
    while some := store.sealed(key, after, _AT_ONCE):
        found += [(float(bucket), Sums.from_vector(vector, series)) for bucket, vector in some]
        after = some[-1][0]
    return found


def read_window(store: SharedStore, endpoint: str, bundle: str) -> Window | None:
    """The rows that the largest window of the last evaluation held; None where there was none, or it can't be read.

    Raises:
        StoreError: the store can't be read now.
    """
    kept = store.load(state_name(endpoint, bundle))
    if kept is None:
        return None
    try:
        steps = unpack(kept.value).steps
    except Unreadable:
        return None
    if not steps:
        return None
    total = steps[0].sums
    for step in steps[1:]:
        total = total + step.sums
    return Window(steps[0].first_bucket, total)


def farthest_first(series: Iterable[SeriesStatus]) -> tuple[SeriesStatus, ...]:
    """By how far the statistic is above its threshold; series that drift before those that don't."""
    return tuple(sorted(series, key=lambda one: (not one.drifted, -level(one), one.name)))


def level(series: SeriesStatus) -> float:
    """The statistic in units of its threshold."""
    return series.statistic / series.threshold if series.threshold > 0.0 else 0.0


def _loaded(store: SharedStore, name: str, form: type[D]) -> D | None:
    kept = store.load(name)
    return None if kept is None else msgspec.json.decode(kept.value, type=form)
