"""Every counter of the recorder and of the tracker is a metric."""

from __future__ import annotations

from pathlib import Path

from gateway.metrics.families import family_of
from gateway.metrics.recorded import RECORDER, TRACKER, named, recorded
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.recorder import SideRecorder
from tests.traffic import info, observe, wild


def test_a_recorders_counters_are_all_named(tmp_path: Path) -> None:
    side = SideRecorder(lambda: SqliteStore.open_for_writing(tmp_path), [info()])
    assert set(side.stats()) == set(RECORDER)
    assert "watchgate_store_last_write_timestamp_seconds" not in {
        name for (name, _), _ in named(side.stats(), RECORDER)
    }
    side.offer(observe(wild(1)))
    side.close()
    numbers = dict(named(side.stats(), RECORDER))
    assert recorded(numbers) == dict(side.stats())
    assert recorded(numbers)["stored"] == 1
    assert recorded(numbers)["written_s"] > 1e9


def test_what_they_are_named_is_in_the_list() -> None:
    assert all(family_of(name) for name, _ in (*RECORDER.values(), *TRACKER.values()))


def test_a_counter_that_is_no_metric_is_left_out() -> None:
    assert list(named({"taken": 3, "something": 1}, TRACKER)) == [(TRACKER["taken"], 3)]
