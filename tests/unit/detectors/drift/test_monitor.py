from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest

from detectors.drift.describe import describe
from detectors.drift.monitor import Monitor
from detectors.drift.reading import Folded
from detectors.drift.replay import largest_deviations, levels, step_sums
from detectors.drift.state import State
from tests import drifting
from tests.drifting import SCHEDULE


def folds(monitor: Monitor, *parts: tuple[int, float], size: int = 20, start: State | None = None) -> Iterator[Folded]:
    """Of buckets of `size` rows; each part is so many buckets with the first column shifted by so much."""
    state = start or monitor.start()
    numbers = count(state.bucket + 1)
    for buckets, shift in parts:
        for number in islice(numbers, buckets):
            folded = monitor.fold(state, number, monitor.encoder.sums(drifting.rows(size, 100 + number, shift)))
            state = folded.state
            yield folded


def test_a_sudden_shift_is_found_in_the_right_series_since_the_right_bucket() -> None:
    told = list(folds(drifting.monitor(level=8.0), (30, 0.0), (5, 3.0)))
    assert not any(folded.started for folded in told[:30])
    first = next(folded for folded in told if folded.started)
    assert first.state.bucket == 30
    assert first.started[0].series == "a"
    reading = next(reading for reading in first.readings if reading.series == "a")
    assert reading.since == 30
    assert reading.drifted
    assert reading.statistic > reading.threshold
    assert reading.level > 8.0
    assert reading.psi > 1.0 > next(one.psi for one in first.readings if one.series == "b")


def test_a_small_shift_is_found_by_a_large_window() -> None:
    told = list(folds(drifting.monitor(level=6.0), (30, 0.0), (40, 0.5)))
    alarms = [(folded.state.bucket, reading) for folded in told for reading in folded.started if reading.series == "a"]
    assert len(alarms) == 1
    bucket, reading = alarms[0]
    assert bucket > 31
    assert reading.rows > SCHEDULE.step_rows
    assert reading.since is not None
    assert 26 <= reading.since <= bucket


def test_it_alarms_once_and_again_only_after_a_quiet_window() -> None:
    told = list(folds(drifting.monitor(), (12, 0.0), (20, 3.0), (40, 0.0), (3, 3.0)))
    started = [folded.state.bucket for folded in told for reading in folded.started if reading.series == "a"]
    ended = [folded.state.bucket for folded in told if "a" in folded.ended]
    assert started == [12, 72]
    assert len(ended) == 1
    # A window of 10 buckets to forget the drift, and one to be sure.
    assert 32 + SCHEDULE.window_rows // 20 <= ended[0] <= 32 + 2 * SCHEDULE.window_rows // 20


def test_all_together_are_read_as_well() -> None:
    last = list(folds(drifting.monitor(), (12, 0.0), (1, 3.0)))[-1]
    assert [reading.series for reading in last.readings] == list(drifting.monitor().names)
    assert last.readings[-1].series == last.readings[-1].kind == "joint"


def test_steps_close_at_the_edge_of_the_bucket_that_fills_them() -> None:
    told = list(folds(drifting.monitor(), (9, 0.0), size=8))
    assert [bool(folded.readings) for folded in told] == [False, False, True] * 3
    assert told[2].readings[0].rows == 24
    assert told[2].readings[0].first_bucket == 0
    assert {reading.first_bucket for reading in told[5].readings} <= {0, 3}


def test_buckets_larger_than_the_window_are_windows() -> None:
    told = list(folds(drifting.monitor(level=7.0), (5, 0.0), size=500))
    assert all(reading.rows == 500 for folded in told for reading in folded.readings)
    assert len(told[-1].state.steps) == 1
    assert not any(folded.started for folded in told)


def test_what_is_remembered_is_bounded() -> None:
    state = list(folds(drifting.monitor(), (60, 0.0)))[-1].state
    assert len(state.steps) == SCHEDULE.window_rows // 20
    assert state.rows == 1200
    assert len(state.to_arrays()["sums"]) == len(state.steps) + 1


def test_buckets_come_in_order() -> None:
    monitor = drifting.monitor()
    state = monitor.fold(monitor.start(), 4, monitor.encoder.zero()).state
    with pytest.raises(ValueError, match="expected a bucket after 4, found 4"):
        monitor.fold(state, 4, monitor.encoder.zero())


def test_another_process_goes_on_from_arrays_and_says_the_same() -> None:
    monitor = drifting.monitor()
    again = Monitor.from_arrays(monitor.to_arrays())
    told = list(folds(monitor, (15, 0.0), (10, 2.0), size=13))
    half = State.from_arrays(told[16].state.to_arrays())
    resumed = list(folds(again, (8, 2.0), size=13, start=half))
    assert [(one.readings, one.started, one.ended) for one in resumed] == [
        (one.readings, one.started, one.ended) for one in told[17:]
    ]


def test_many_steps_at_once_are_read_as_one_after_another() -> None:
    monitor = drifting.monitor()
    rows = drifting.rows(1200, 5, shift=0.3)
    cells, waves = monitor.encoder.encode(monitor.encoder.series(rows))
    found = largest_deviations(
        monitor.baseline, SCHEDULE, *step_sums(cells, waves, np.arange(1200).reshape(-1, SCHEDULE.step_rows))
    )
    state, told = monitor.start(), []
    for number in range(60):
        part = rows.take(slice(number * 20, number * 20 + 20))
        folded = monitor.fold(state, number, monitor.encoder.sums(part))
        state = folded.state
        told.append(max(reading.level for reading in folded.readings))
    assert levels(monitor.thresholds, found) == pytest.approx(np.array(told), rel=1e-5)


def test_every_measure_of_a_window_can_be_read() -> None:
    monitor = drifting.monitor()
    rows = drifting.rows(1000, 9, shift=1.0)
    told = {one.series: one for one in describe(monitor.encoder.names, monitor.baseline, monitor.encoder.sums(rows))}
    assert list(told) == list(monitor.encoder.names)
    assert told["a"].shift > 10
    assert told["a"].kolmogorov_smirnov == pytest.approx(0.38, abs=0.06)
    assert told["a"].psi > 0.5 > 0.1 > told["b"].psi
    assert told["a"].above > 0.005 > told["b"].above
    assert told["c"].missing == pytest.approx(0.1, abs=0.04)
    assert told["a"].jensen_shannon > told["b"].jensen_shannon
    assert told["a"].wasserstein > told["b"].wasserstein
    assert told["a"].chi_square > told["b"].chi_square
