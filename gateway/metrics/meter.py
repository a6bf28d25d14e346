"""Prometheus numbers: plain counters on the hot path, made into metrics only when somebody looks.

Each worker writes its numbers to a file of its own; whoever is asked adds all files up. What a scrape has shown was on
disk before, and a dead worker's numbers are kept, so that counters never run backwards when a worker is restarted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.metrics.families import FAMILIES, family_of
from gateway.verdict import Action, Judged, Verdicts

Key = tuple[str, tuple[tuple[str, str], ...]]
Numbers = dict[Key, float]

LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


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
    """One endpoint's numbers in this worker. What its stages count begins at zero, so that the first is seen as one."""

    def __init__(self, endpoint: str, stages: Sequence[str] = ()) -> None:
        self.endpoint = endpoint
        self.statuses: Counter[int] = Counter({200: 0, 403: 0, 503: 0})
        self.refusals: Counter[str] = Counter(BadRequest=0, Unavailable=0)
        self.dropped: Counter[str] = Counter(kept=0, clean=0)
        self.actions = [0, 0, 0]
        self.shadowed = [0, 0, 0]
        self.decided = Counter({(word, stage): 0 for word in ("flag", "reject") for stage in stages})
        self.stage_ns = Counter(dict.fromkeys(stages, 0))
        self.stage_runs = Counter(dict.fromkeys(stages, 0))
        self.stage_rows = Counter(dict.fromkeys(stages, 0))
        self.stage_errors = Counter(dict.fromkeys(stages, 0))
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
            self.stage_rows[run.name] += run.scored
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
        _spread(found, "watchgate_stage_rows_total", own, "stage", self.stage_rows)
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
    """Several workers' numbers as one: sums, and of some gauges the largest."""
    total: Numbers = {}
    for part in parts:
        for each, value in part.items():
            known = total.get(each)
            if known is None:
                total[each] = value
            else:
                family = family_of(each[0])
                total[each] = max(known, value) if family is not None and family.largest else known + value
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
        metrics = {family.name: Metric(family.base, family.text, family.kind) for family in FAMILIES}
        for (name, labels), value in self.numbers.items():
            family = family_of(name)
            if family is not None:
                metrics[family.name].add_sample(name, dict(labels), value)
        return (metric for metric in metrics.values() if metric.samples)


def _spread(into: Numbers, name: str, own: Mapping[str, str], label: str, counts: Mapping[Any, int]) -> None:
    for value, count in counts.items():
        into[key(name, {**own, label: str(value)})] = count
