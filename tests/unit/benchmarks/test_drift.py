from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.drift.__main__ import late
from benchmarks.drift.report import page
from benchmarks.drift.runs import RunLengths, delays
from benchmarks.drift.subjects import Subject
from tests import drifting


def test_streams_without_an_alarm_lengthen_the_average() -> None:
    found = RunLengths(streams=10, rows=50_000, alarms=4)
    assert found.average == 12_500
    low, high = found.interval
    assert low < 12_500 < high
    assert RunLengths(2, 900, 0).average == 900


def test_a_delay_is_counted_from_the_change_to_the_end_of_the_step() -> None:
    monitor = drifting.monitor(level=14.0)
    drifts = {"far": drifting.rows(500, 1, shift=4.0), "none": drifting.rows(5000, 2)}
    subject = Subject("made", drifting.rows(10, 3), drifts)
    found = dict(delays(subject, monitor, drifting.rows(5000, 4), trials=8))
    assert len(found["far"]) > 4
    assert (found["far"] <= 3 * monitor.schedule.step_rows).all()
    assert np.isinf(found["none"]).all()


def test_the_page_shows_every_drift_and_rival() -> None:
    told = {"trials": 5, "median": 40.0, "p90": None}
    rival = {"watched": 60_000, "alarms": 0, "us": 3.2, "make_s": 4.0, "delays": {"far": told}}
    rival |= {"making_mb": 5.04, "watching_mb": 0.6}
    found = {
        "runs": [{"window": 2000, "asked": 20_000, "streams": 9, "rows": 90, "alarms": 3, "average": 30_000.0}],
        "delays": {"4000": {"far": told}, "2000": {"far": told | {"median": 60.0}}},
        "sums_us": {"1": 90.0, "8": 12.0, "64": 3.0},
        "fold_us": 20.0,
        "state_bytes": 1000,
        "design_s": 9.0,
        "series": 21,
        "making_mb": 30.0,
        "watching_mb": 2.0,
        "rivals": {"theirs": rival},
    }
    found["runs"][0]["interval95"] = [1.0, 2.0]  # type: ignore[index]
    named = ("date", "cores", "processor", "system", "load_1min_before", "python")
    machine: dict[str, Any] = {**dict.fromkeys(named, "x"), "packages": {}}
    text = page({"command": "c", "machine": machine, "resumed": False, "subjects": {"mnist": found}})
    assert "| mnist, window 2,000 | 20,000 | 30,000 [1, 2] | 1.50 | 3 of 9 |" in text
    assert "| drift | median, window 2,000 | 9 in 10, window 2,000 | median, window 4,000 |" in text
    assert "| far | 60 | none | 40 | none |" in text
    assert "| watchgate, window 2,000 | 60 | 30,000 | 23.0 | 9 | 30.0 | 2.0 |" in text
    assert "| theirs | 40 | over 60,000 | 3.2 | 4 | 5.0 | 0.6 |" in text


@pytest.mark.slow
def test_one_subject_is_measured_whole() -> None:
    subject = Subject("made", drifting.rows(10_000, 0), {"far": drifting.rows(1000, 1, shift=3.0)})
    found = late(subject, trials=5)
    assert found["delays"]["2000"]["far"]["median"] <= 150
    assert found["sums_us"]["64"] < 100
    assert found["series"] == 8
