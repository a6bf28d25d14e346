"""How often the model was right: sums of labels that came, the monitor of their errors, and who tells of both."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from detectors.drift.monitor import Monitor
from detectors.drift.state import State
from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.flusher import DriftFlusher
from gateway.tracking.drift.report import DriftStatus
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.state import Unreadable, unpack
from gateway.tracking.feedback.report import AccuracyPoint, AccuracyStatus, accuracy_name, wilson
from models.batch import Array

TELL_S = 5.0  # how old what is told may be
MOST_POINTS = 1000
ERROR, LABEL = "error rate", "true class"  # the monitor's series


def points_key(endpoint: str, bundle: str) -> str:
    """Where labels are summed by the hour in which their rows were answered: how many, how many right, confidence."""
    return f"accuracy/points/{endpoint}/{bundle}"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows(Watched):
    """What `Watched` is to rows, to rows whose labels came: buckets are of when these came."""

    @property
    def key(self) -> str:
        """See `Watched`."""
        return f"accuracy/sums/{self.endpoint}/{self.bundle}"

    @property
    def state_name(self) -> str:
        """See `Watched`."""
        return f"accuracy/state/{self.endpoint}/{self.bundle}"

    @property
    def lease_name(self) -> str:
        """See `Watched`."""
        return f"accuracy/lease/{self.endpoint}/{self.bundle}"

    @property
    def status_name(self) -> str:
        """See `Watched`."""
        return f"accuracy/series/{self.endpoint}/{self.bundle}"

    @property
    def history_prefix(self) -> str:
        """See `Watched`."""
        return f"accuracy/history/{self.endpoint}/"


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """An endpoint that takes labels. `watched` is None where calibrate had no labels to compare with."""

    endpoint: str
    bundle: str
    watched: LabelledRows | None
    point_s: int


class LabelFlusher(DriftFlusher):
    """The flusher of labels; its numbers stand apart from those of drift."""

    def stats(self) -> dict[str, int]:
        """See `DriftFlusher`."""
        return _apart(super().stats())


class LabelEvaluator(DriftEvaluator):
    """The evaluator of labels; its numbers stand apart from those of drift."""

    def stats(self) -> dict[str, int]:
        """See `DriftEvaluator`."""
        return _apart(super().stats())


class AccuracyTeller:
    """A `Partner`: puts together what the sums and the monitor say, for everybody to read."""

    def __init__(self, labelled: Sequence[Labelled], every_s: float = TELL_S) -> None:
        self._labelled = tuple(labelled)
        self._every_s = every_s
        self._told = float("-inf")
        self._holder = ""

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`."""
        now = time.monotonic()
        if now - self._told < self._every_s:
            return
        self._told = now
        self._holder = self._holder or uuid.uuid4().hex
        for each in self._labelled:
            lease = f"accuracy/teller/{each.endpoint}/{each.bundle}"
            if store.lease(lease, self._holder, 3.0 * self._every_s):
                self._tell(each, store)

    def leave(self, store: SharedStore) -> None:
        """See `Partner`."""
        self._told = float("-inf")
        self.exchange(store)

    def stats(self) -> dict[str, int]:
        """See `Partner`."""
        return {}

    def _tell(self, labelled: Labelled, store: SharedStore) -> None:
        name = accuracy_name(labelled.endpoint, labelled.bundle)
        kept = store.load(name)
        before = None if kept is None else msgspec.json.decode(kept.value, type=AccuracyStatus)
        points = self._points(labelled, store, () if before is None else before.points)
        if not points:
            return
        status = _status(labelled, points, *self._monitored(labelled, store), at_s=store.now())
        if before is None or msgspec.structs.replace(status, at_s=before.at_s) != before:
            store.swap(name, 0 if kept is None else kept.token, msgspec.json.encode(status))

    def _points(
        self, labelled: Labelled, store: SharedStore, before: Sequence[AccuracyPoint]
    ) -> tuple[AccuracyPoint, ...]:
        """Those told before of which the store has forgotten the sums, and those of the sums it has."""
        key, width = points_key(labelled.endpoint, labelled.bundle), labelled.point_s
        store.seal(key, int(store.now() // width * width))
        sums: dict[int, Array] = {}
        for bucket, vector in [*store.sealed(key, -1), *store.late(key, -1)]:
            sums[bucket] = sums[bucket] + vector if bucket in sums else vector
        found = {int(point.since_s): point for point in before}
        found |= {bucket: _point(bucket, width, vector) for bucket, vector in sums.items()}
        return tuple(found[bucket] for bucket in sorted(found)[-MOST_POINTS:])

    def _monitored(self, labelled: Labelled, store: SharedStore) -> tuple[DriftStatus | None, State | None]:
        if labelled.watched is None:
            return None, None
        status, state = store.load(labelled.watched.status_name), store.load(labelled.watched.state_name)
        told = None if status is None else msgspec.json.decode(status.value, type=DriftStatus)
        try:
            return told, None if state is None else unpack(state.value)
        except Unreadable:
            return told, None


def _apart(counts: dict[str, int]) -> dict[str, int]:
    return {name.replace("drift_", "labels_", 1): count for name, count in counts.items()}


def errors(monitor: Monitor, counts: Array) -> tuple[int, int]:
    """Labels in sums of the monitor's (series, cells), and how many of them were not the model's class."""
    wrong = int(monitor.encoder.bins([np.array([1.0])] * len(monitor.encoder.names))[0, 0])
    return int(counts[0].sum()), int(counts[0, wrong])


def _status(
    labelled: Labelled,
    points: tuple[AccuracyPoint, ...],
    told: DriftStatus | None,
    state: State | None,
    at_s: float,
) -> AccuracyStatus:
    labels, correct = sum(point.labels for point in points), sum(point.correct for point in points)
    expected, window, right = None, labels, correct
    if labelled.watched is not None:
        monitor = labelled.watched.monitor
        rows, wrong = errors(monitor, monitor.baseline.sums.counts)
        expected = 1.0 - wrong / rows
        newest = monitor.encoder.zero()
        if state is not None:
            for step in (*(step.sums for step in state.steps), state.pending):
                newest = newest + step
        window, wrong = errors(monitor, newest.counts)
        right = window - wrong
    low, high = wilson(right, window)
    return AccuracyStatus(
        endpoint=labelled.endpoint,
        bundle=labelled.bundle,
        at_s=at_s,
        labels=labels,
        correct=correct,
        window=window,
        accuracy=right / window if window else None,
        low=low,
        high=high,
        expected=expected,
        drifted=told is not None and told.drifted,
        since_s=None if told is None else told.since_s,
        series=() if told is None else told.series,
        points=points,
    )


def _point(bucket: int, width: int, vector: Array) -> AccuracyPoint:
    labels, correct = int(vector[0]), int(vector[1])
    return AccuracyPoint(float(bucket), float(bucket + width), labels, correct, *wilson(correct, labels))
