from __future__ import annotations

import numpy as np
import pytest

from detectors.drift.design import design
from detectors.drift.monitor import Monitor
from detectors.drift.replay import largest_deviations, levels, step_sums
from detectors.drift.schedule import Schedule, WindowTooLarge
from detectors.drift.simulation import level_for, run_length
from detectors.drift.thresholds import Thresholds, gumbel
from models.batch import Array
from tests import drifting


def paths(streams: int, steps: int, seed: int = 0) -> Array:
    """Highest so far of independent standard exponential steps: the rate at level h is exp(-h) a step."""
    return np.maximum.accumulate(np.random.default_rng(seed).exponential(size=(streams, steps)), axis=1)


def test_a_gumbel_law_is_found_again() -> None:
    place, scale = gumbel(np.random.default_rng(0).gumbel([3.0, 5.0], [0.3, 1.0], size=(5000, 2)))
    assert place == pytest.approx([3.0, 5.0], abs=0.05)
    assert scale == pytest.approx([0.3, 1.0], rel=0.05)


@pytest.mark.parametrize("rows", [3_000, 20_000])
def test_the_level_gives_the_run_length_that_was_asked_for(rows: int) -> None:
    level = level_for(paths(400, 400), 50, rows)
    assert 50 * np.exp(level) == pytest.approx(rows, rel=0.2)


def test_a_run_length_far_beyond_the_streams_is_extrapolated() -> None:
    level = level_for(paths(200, 200), 50, 2_000_000)
    assert 50 * np.exp(level) == pytest.approx(2_000_000, rel=0.7)


def test_streams_without_an_alarm_count_with_all_their_rows() -> None:
    highest = np.array([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    assert run_length(highest, 10, 5.0) == 70.0
    assert run_length(highest, 10, 99.0) == 80.0


def test_thresholds_are_as_wide_as_counts_without_rows_need() -> None:
    made = Thresholds.fit(np.zeros((50, 4, 3)))
    assert (made.place == 2.5).all()
    assert (made.scale == 0.25).all()


def test_windows_double_up_to_the_largest() -> None:
    assert Schedule(2000, 20_000).windows == (50, 100, 200, 400, 800, 1600, 2000)
    assert Schedule(1600, 20_000).windows[-1] == 1600
    assert Schedule(70, 20_000).windows == (50,)


def test_a_schedule_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a window of at least 50 rows, found 20"):
        Schedule(20, 20_000)
    with pytest.raises(ValueError, match="one false alarm in 500 rows: expected at least the window's 2000"):
        Schedule(2000, 500)


def test_a_window_too_large_for_the_reference_is_refused_with_the_size_that_would_do() -> None:
    says = "a window of 2000 rows needs 4000 reference rows, found 900: a window of 450 would do"
    with pytest.raises(WindowTooLarge, match=says) as refused:
        design(drifting.rows(900, 0), Schedule(2000, 20_000))
    assert (refused.value.window, refused.value.needed) == (450, 4000)


@pytest.fixture(scope="module")
def made() -> Monitor:
    return design(drifting.rows(600, 0), Schedule(300, 3_000))


def test_a_designed_monitor_says_when_it_was_asked_to_and_survives_arrays(made: Monitor) -> None:
    arrays = made.to_arrays()
    assert not any(array.dtype.hasobject for array in arrays.values())
    again = Monitor.from_arrays(arrays)
    assert again.schedule == made.schedule
    assert again.names == made.names
    assert again.thresholds.level == made.thresholds.level
    rows = drifting.rows(300, 1, shift=2.0)
    folds = [monitor.fold(monitor.start(), 0, monitor.encoder.sums(rows)) for monitor in (made, again)]
    assert folds[0].started == folds[1].started
    assert folds[0].started[0].series == "column 0"


def average_run(reference_rows: int, schedule: Schedule, splits: int) -> float:
    """Rows to a false alarm: fresh references and fresh streams of made rows, four a split."""
    paths = []
    for seed in range(splits):
        monitor = design(drifting.rows(reference_rows, seed), schedule, seed=seed)
        for stream in range(4):
            fresh = drifting.rows(3 * schedule.false_alarm_rows, 10_000 + 4 * seed + stream)
            cells, waves = monitor.encoder.encode(monitor.encoder.series(fresh))
            picked = np.arange(len(fresh)).reshape(-1, schedule.step_rows)
            found = largest_deviations(monitor.baseline, schedule, *step_sums(cells, waves, picked))
            paths.append(np.maximum.accumulate(levels(monitor.thresholds, found)) - monitor.thresholds.level)
    return run_length(np.stack(paths), schedule.step_rows, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("reference_rows", "schedule"), [(800, Schedule(400, 4_000)), (2000, Schedule(300, 2_000))])
def test_false_alarms_are_as_seldom_as_asked_for_and_at_most_three_times_as_seldom(
    reference_rows: int, schedule: Schedule
) -> None:
    assert 1.0 <= average_run(reference_rows, schedule, splits=12) / schedule.false_alarm_rows <= 3.0
