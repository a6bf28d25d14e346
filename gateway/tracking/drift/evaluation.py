"""One evaluation: sealed buckets folded in order, and the documents that tell of it.

A function of the state and the sealed sums alone: whoever evaluates the same buckets writes the same documents under
the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detectors.drift.reading import Folded, Reading
from detectors.drift.state import State
from detectors.drift.sums import Sums
from gateway.tracking.drift.report import DriftAlarm, DriftStatus, SeriesStatus
from gateway.tracking.drift.rows import Watched
from models.batch import Array

HISTORY_S = 30  # a status is kept for each so many seconds, and for each bucket in which something alarmed


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of some sealed buckets. `readings` are the last, where a step ended in one of them."""

    watched: Watched
    state: State
    readings: tuple[Reading, ...]
    alarms: tuple[DriftAlarm, ...]

    @staticmethod
    def of(watched: Watched, state: State, buckets: Sequence[tuple[int, Array]]) -> Evaluation:
        """Of buckets after the state's, ascending.

        Raises:
            ValueError: they are not, or the sums are another monitor's.
        """
        series = len(watched.monitor.encoder.names)
        readings: tuple[Reading, ...] = ()
        alarms: list[DriftAlarm] = []
        for bucket, vector in buckets:
            folded = watched.monitor.fold(state, bucket, Sums.from_vector(vector, series))
            alarms += _alarms(watched, state, folded)
            readings = folded.readings or readings
            state = folded.state
        return Evaluation(watched, state, readings, tuple(alarms))

    def status(self, late_rows: int, before: DriftStatus | None) -> DriftStatus:
        """How the endpoint stands; `before` is what was said last, for series that were not read again."""
        series = tuple(map(_status, self.readings)) or (() if before is None else before.series)
        since = [each.since_s for each in series if each.since_s is not None]
        watched = self.watched
        return DriftStatus(
            endpoint=watched.endpoint,
            bundle=watched.bundle,
            at_s=self.state.bucket + watched.every_s,
            rows=self.state.rows,
            late_rows=late_rows,
            drifted=bool(since),
            since_s=min(since, default=None),
            series=series,
        )

    @property
    def history_name(self) -> str:
        """Where the status is kept for later."""
        bucket = self.state.bucket
        if not self.alarms:
            bucket -= bucket % HISTORY_S
        return f"{self.watched.history_prefix}{bucket:012d}/{self.watched.bundle}"


def _status(reading: Reading) -> SeriesStatus:
    return SeriesStatus(
        name=reading.series,
        kind=reading.kind,
        statistic=reading.statistic,
        threshold=reading.threshold,
        psi=reading.psi,
        rows=reading.rows,
        drifted=reading.drifted,
        since_s=None if reading.since is None else float(reading.since),
    )


def _alarms(watched: Watched, before: State, folded: Folded) -> Iterator[DriftAlarm]:
    """Of one bucket: what began, the farthest first, then what ended."""
    for reading in folded.started:
        yield _alarm(watched, folded.state.bucket, reading, reading.first_bucket, started=True)
    if folded.ended:
        since = dict(zip(watched.monitor.names, before.spells.since.tolist(), strict=True))
        for reading in folded.readings:
            if reading.series in folded.ended:
                yield _alarm(watched, folded.state.bucket, reading, since[reading.series], started=False)


def _alarm(watched: Watched, bucket: int, reading: Reading, since: int, *, started: bool) -> DriftAlarm:
    return DriftAlarm(
        endpoint=watched.endpoint,
        bundle=watched.bundle,
        series=reading.series,
        bucket=bucket,
        started=started,
        at_s=bucket + watched.every_s,
        since_s=float(since),
        kind=reading.kind,
        statistic=reading.statistic,
        threshold=reading.threshold,
        psi=reading.psi,
        rows=reading.rows,
    )
