"""What the evaluation of true labels tells everybody: how often the model was right, and whether that changed."""

from __future__ import annotations

import math

import msgspec

from gateway.tracking.drift.report import SeriesStatus

_Z = 1.959963984540054  # of a 95 % interval


class AccuracyPoint(msgspec.Struct, frozen=True):
    """Rows that were answered between two instants (seconds since 1970) and whose labels came: 95 % interval."""

    since_s: float
    until_s: float
    labels: int
    correct: int
    low: float
    high: float


class AccuracyStatus(msgspec.Struct, frozen=True):
    """One endpoint with one bundle at the last evaluation; under compare-and-set as `accuracy_name(...)`.

    `accuracy` and its 95 % interval are of the labels in `window` rows, the newest. `expected` is the accuracy on
    held-out rows at calibrate, None where these had no labels; without it there are no `series`. `series` are those
    of the monitor: `error` (concept drift) and `label` (label drift). `points` are the oldest first.
    """

    endpoint: str
    bundle: str
    at_s: float
    labels: int  # counted since the start
    correct: int
    window: int
    accuracy: float | None
    low: float
    high: float
    expected: float | None
    drifted: bool
    since_s: float | None
    series: tuple[SeriesStatus, ...] = ()
    points: tuple[AccuracyPoint, ...] = ()


def accuracy_name(endpoint: str, bundle: str) -> str:
    """Where an endpoint's status is kept."""
    return f"accuracy/status/{endpoint}/{bundle}"


def wilson(correct: int, labels: int) -> tuple[float, float]:
    """The 95 % interval of a share, by score (Wilson 1927); 0 to 1 where nothing was seen."""
    if not labels:
        return 0.0, 1.0
    share, square = correct / labels, _Z * _Z / labels
    middle = (share + square / 2.0) / (1.0 + square)
    half = _Z / (1.0 + square) * math.sqrt(share * (1.0 - share) / labels + square / (4.0 * labels))
    return max(0.0, middle - half), min(1.0, middle + half)
