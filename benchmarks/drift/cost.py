"""What a row costs in the tracking worker, and what a monitor remembers."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.drift.memory import Resident
from benchmarks.drift.runs import designed
from benchmarks.drift.subjects import Subject
from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule

BATCHES = (1, 8, 64)
_ROWS, _ROUNDS = 2048, 5
_STREAM_ROWS = 20_000  # watched for their memory


def sums_us(monitor: Monitor, rows: Rows, batch: int) -> float:
    """CPU microseconds a row to encode and add, in batches of so many; the best of five rounds."""
    parts = [rows.take(slice(start, start + batch)) for start in range(0, min(len(rows), _ROWS), batch)]
    best = np.inf
    for _ in range(_ROUNDS):
        total, started = monitor.encoder.zero(), time.process_time()
        for part in parts:
            total += monitor.encoder.sums(part)
        best = min(best, (time.process_time() - started) / total.rows)
    return float(best * 1e6)


def fold_us(monitor: Monitor, rows: Rows) -> float:
    """CPU microseconds a row to fold buckets of one step each, once the largest window is full."""
    step = monitor.schedule.step_rows
    buckets = [
        monitor.encoder.sums(rows.take(slice(start, start + step))) for start in range(0, len(rows) - step + 1, step)
    ]
    state, warm = monitor.start(), len(buckets) // 2
    for number, sums in enumerate(buckets[:warm]):
        state = monitor.fold(state, number, sums).state
    started = time.process_time()
    for number, sums in enumerate(buckets[warm:]):
        state = monitor.fold(state, warm + number, sums).state
    return float((time.process_time() - started) / (step * (len(buckets) - warm)) * 1e6)


def state_bytes(monitor: Monitor, rows: Rows) -> int:
    """Of a state whose largest window is full: it grows no further."""
    step, state = monitor.schedule.step_rows, monitor.start()
    for number in range(monitor.schedule.window_rows // step + 2):
        start = number * step % (len(rows) - step)
        state = monitor.fold(state, number, monitor.encoder.sums(rows.take(slice(start, start + step)))).state
    return sum(array.nbytes for array in state.to_arrays().values())


def megabytes(subject: Subject, reference: Rows, rest: Rows, schedule: Schedule) -> dict[str, float]:
    """The most resident while a monitor is made, and while it watches a stream; to be run in a process of its own."""
    step, drawn = schedule.step_rows, np.random.default_rng(0).integers(len(rest), size=_STREAM_ROWS)
    stream, memory = rest.take(drawn), Resident()
    monitor = designed(subject, reference, schedule, 0)
    making, state = memory.most(), monitor.start()
    for number, start in enumerate(range(0, len(stream), step)):
        state = monitor.fold(state, number, monitor.encoder.sums(stream.take(slice(start, start + step)))).state
    return {"making_mb": making, "watching_mb": memory.most()}
