"""A monitor from reference rows: its bins, its baseline, and thresholds from simulating it."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.drift.baseline import Baseline
from detectors.drift.encoder import Encoder, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.projection import Projection
from detectors.drift.schedule import Schedule
from detectors.drift.simulation import simulate, thresholds


def design(
    reference: Rows,
    schedule: Schedule,
    *,
    projection: Projection | None = None,
    columns: Sequence[str] = (),
    seed: int = 0,
) -> Monitor:
    """The monitor of a model whose honest rows look like these.

    The model must not have seen the reference rows in training, nor may `projection` have been fitted on them: in both
    cases they would look more alike than rows to come. Takes seconds.

    Raises:
        WindowTooLarge: the reference has too few rows for the schedule's window.
        ValueError: there is nothing to track.
    """
    schedule.refuse_small_reference(len(reference))
    encoder = Encoder.fit(reference, projection=projection, columns=columns, seed=seed)
    series = encoder.series(reference)
    baseline = Baseline.fit(encoder, series)
    simulated = simulate(encoder, baseline, series, schedule, seed)
    return Monitor(encoder, baseline, thresholds(simulated, schedule.false_alarm_rows), schedule)
