from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from gateway.state.record import Entry, Record
from gateway.state.sqlite import SqliteStore
from gateway.state.store import DEFAULT_QUOTA
from gateway.telemetry.lane import Bounds, Lane
from gateway.telemetry.observation import Observation
from gateway.telemetry.recorder import bare
from gateway.telemetry.writer import Writer
from tests.traffic import observe, wild


class Paced(SqliteStore):
    """Takes `pause_s` a record."""

    pause_s = 0.0

    def write(self, entries: Sequence[Entry]) -> None:
        time.sleep(self.pause_s * len(entries))
        super().write(entries)


def most(lane: Lane[Observation]) -> int:
    """How many items of as many principals the lane takes."""
    lane.take(10_000)
    seen = observe(wild(1))
    taken = next(n for n in count() if not lane.has_room(f"p{n}") or not lane.put(seen, f"p{n}", 1, 0) < 2)
    lane.take(10_000)
    return taken


def test_no_more_waits_than_is_written_soon(tmp_path: Path) -> None:
    lane: Lane[Observation] = Lane(Bounds(items=512, rows=2**16, nbytes=2**20), bare)
    store = Paced(SqliteStore.open_for_writing(tmp_path)._db, DEFAULT_QUOTA)
    passed: list[Record] = []
    writer = Writer([lane], lambda: store, [], captured="kept", pass_on=passed.append)

    def write(records: int, pause_s: float) -> int:
        store.pause_s = pause_s
        for number in range(records):
            lane.put(observe(wild(1)), f"p{number}", 1, 0)
        writer._turn()
        return most(lane)

    assert write(5, 0.01) == 512, "a few records say nothing of the speed"
    slow = write(64, 0.002)
    assert slow <= 0.4 / 0.002, "0.4 seconds' worth"
    faster = write(64, 0.0)
    assert slow <= faster < 2 * slow, "one good chunk is not believed at once"
    assert write(64, 0.02) == 64, "some may always wait"
    assert len(passed) == writer.counts["stored"] == 5 + 3 * 64
    store.close()
