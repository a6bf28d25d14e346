"""Prometheus numbers: plain counters on the hot path, made into metrics only when somebody looks.

Each worker writes its numbers to a file of its own; whoever is asked adds all files up. What a scrape has shown was on
disk before, and a dead worker's numbers are kept, so that counters never run backwards when a worker is restarted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.verdict import Action, Judged, Verdicts

Key = tuple[str, tuple[tuple[str, str], ...]]
Numbers = dict[Key, float]

LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

FAMILIES: Mapping[str, tuple[str, str]] = {
    "watchgate_requests": ("counter", "Answered requests by endpoint and HTTP status."),
    "watchgate_rows": ("counter", "Judged rows by endpoint and action (what was done)."),
    "watchgate_shadow_rows": ("counter", "Rows by endpoint and action that a shadowing endpoint would have taken."),
    "watchgate_decided_rows": ("counter", "Flagged and rejected rows by endpoint, action and the stage that decided."),
    "watchgate_refusals": ("counter", "Requests refused without a verdict, by endpoint and reason."),
    "watchgate_stage_errors": ("counter", "Stages that raised or overran their time, by endpoint and stage."),
    "watchgate_dropped_observations": (
        "counter",
        "Verdicts that the trace store had no room for, by endpoint and kind.",
    ),
    "watchgate_recorder": ("counter", "What the trace recorder kept, wrote, sent and lost."),
    "watchgate_queries": ("counter", "Queries that the tracker took, dropped, compared and found alike."),
    "watchgate_stage_seconds": ("summary", "Time of a stage on a batch, by endpoint and stage."),
    "watchgate_request_seconds": ("histogram", "Time from reading a request's head to its answer, by endpoint."),
    "watchgate_batch_seconds": ("summary", "Time of a batch in the chain, by endpoint."),
    "watchgate_batch_rows": ("histogram", "Rows in a batch, by endpoint."),
    "watchgate_queued_rows": ("gauge", "Rows that wait for the chain, by endpoint."),
    "watchgate_workers": ("gauge", "Workers whose numbers these are."),
}
GAUGES = frozenset(name for name, (kind, _) in FAMILIES.items() if kind == "gauge")


class Histogram:
    """Counts by bucket; `ends` are upper ends, inclusive."""

    __slots__ = ("counts", "ends", "total")

    def __init__(self, ends: tuple[float, ...]) -> None:
        self.ends = ends
        self.counts = [0] * (len(ends) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.ends, value)] += 1
        self.total += value

    def numbers(self, name: str, labels: Mapping[str, str]) -> Iterator[tuple[Key, float]]:
        """Cumulative buckets, sum and count."""
        below = 0
        for end, count in zip((*self.ends, float("inf")), self.counts, strict=True):
            below += count
            yield key(f"{name}_bucket", {**labels, "le": "+Inf" if end == float("inf") else f"{end:g}"}), below
        yield key(f"{name}_sum", labels), self.total
        yield key(f"{name}_count", labels), below


class Meter:
    """One endpoint's numbers in this worker."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.statuses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.actions = [0, 0, 0]
        self.shadowed = [0, 0, 0]
        self.decided: Counter[tuple[str, str]] = Counter()
        self.stage_ns: Counter[str] = Counter()
        self.stage_runs: Counter[str] = Counter()
        self.stage_errors: Counter[str] = Counter()
        self.latency = Histogram(LATENCY_S)
        self.batch_rows = Histogram(BATCH_ROWS)
        self.batch_seconds = 0.0
        self.queued_rows = 0

    def batch(self, judged: Judged, seconds: float, requests: int) -> None:
        """A batch of so many requests ran."""
        self.batch_rows.add(len(judged.batch.x))
        self.batch_seconds += seconds
        for run in judged.verdicts.runs:
            self.stage_ns[run.name] += run.ended_ns - run.started_ns
            self.stage_runs[run.name] += 1
            if run.error is not None:
                self.stage_errors[run.name] += 1

    def answered(self, status: int, seconds: float) -> None:
        """A request was answered."""
        self.statuses[status] += 1
        self.latency.add(seconds)

    def judged(self, verdicts: Verdicts) -> int:
        """A request got its verdicts; gives back the largest action."""
        told = verdicts.actions.tobytes()  # several times as fast as numpy on a few rows
        rows = len(told)
        worst = max(told)
        shadowing = verdicts.shadowed is not verdicts.actions and bool((verdicts.shadowed != verdicts.actions).any())
        if not worst:
            self.actions[0] += rows
        else:
            self._count(self.actions, verdicts.actions)
            self._blame(verdicts)
        if shadowing:
            self._count(self.shadowed, verdicts.shadowed)
        return worst

    def _count(self, into: list[int], actions: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        for action, count in enumerate(np.bincount(actions, minlength=3)):
            into[action] += int(count)

    def _blame(self, verdicts: Verdicts) -> None:
        for row in np.flatnonzero(verdicts.actions):
            index = int(verdicts.decided[row])
            stage = verdicts.runs[index].name if index >= 0 else "none"
            self.decided[(Action(int(verdicts.actions[row])).word, stage)] += 1

    def numbers(self) -> Numbers:
        """All of them, by name and labels."""
        own = {"endpoint": self.endpoint}
        found: Numbers = {}
        _spread(found, "watchgate_requests_total", own, "status", self.statuses)
        _spread(found, "watchgate_refusals_total", own, "reason", self.refusals)
        _spread(found, "watchgate_dropped_observations_total", own, "kind", self.dropped)
        _spread(found, "watchgate_stage_errors_total", own, "stage", self.stage_errors)
        for action in Action:
            found[key("watchgate_rows_total", {**own, "action": action.word})] = self.actions[action]
            found[key("watchgate_shadow_rows_total", {**own, "action": action.word})] = self.shadowed[action]
        for (word, stage), count in self.decided.items():
            found[key("watchgate_decided_rows_total", {**own, "action": word, "stage": stage})] = count
        for stage, count in self.stage_runs.items():
            found[key("watchgate_stage_seconds_count", {**own, "stage": stage})] = count
            found[key("watchgate_stage_seconds_sum", {**own, "stage": stage})] = self.stage_ns[stage] / 1e9
        found.update(self.latency.numbers("watchgate_request_seconds", own))
        found.update(self.batch_rows.numbers("watchgate_batch_rows", own))
        found[key("watchgate_batch_seconds_sum", own)] = self.batch_seconds
        found[key("watchgate_batch_seconds_count", own)] = sum(self.batch_rows.counts)
        found[key("watchgate_queued_rows", own)] = self.queued_rows
        return found


def key(name: str, labels: Mapping[str, str]) -> Key:
    """A sample's name and labels, hashable."""
    return name, tuple(sorted(labels.items()))


def added(parts: Iterable[Numbers]) -> Numbers:
    """The sum of several workers' numbers."""
    total: Numbers = {}
    for part in parts:
        for each, value in part.items():
            total[each] = total.get(each, 0) + value
    return total


def exposition(numbers: Numbers) -> bytes:
    """The Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(numbers))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def collect(self) -> Iterable[Metric]:
        for family, (kind, text) in FAMILIES.items():
            metric = Metric(family, text, kind)
            for (name, labels), value in self.numbers.items():
                if _family(name) == family:
                    metric.add_sample(name, dict(labels), value)
            yield metric


def _family(name: str) -> str:
    for suffix in ("_total", "_bucket", "_sum", "_count"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def _spread(into: Numbers, name: str, own: Mapping[str, str], label: str, counts: Mapping[Any, int]) -> None:
    for value, count in counts.items():
        into[key(name, {**own, label: str(value)})] = count
