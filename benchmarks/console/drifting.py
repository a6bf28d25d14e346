"""A day of evaluations of drift: what a busy endpoint of images leaves in the shared store."""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path

import msgspec

from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.evaluation import HISTORY_S
from gateway.tracking.drift.report import DriftStatus, SeriesStatus, history_prefix, status_name
from tests.drifted import VERSION, Evaluated, write_bundle

CONFIG = ", drift: {window: 200}"
_DAY_S = 86_000
_TIMES = 3  # the made monitor's eight series, so that there are 24


def fill(folder: Path) -> None:
    """A bundle with a monitor, an evaluation that found drift, and its copies every half minute of a day."""
    now_s = time.time()
    evaluated = Evaluated(folder / "state", write_bundle(folder), now_s - 400.0)
    evaluated.go_on(16)
    last = _wide(evaluated.go_on(20, shift=1.0))
    store = SqliteShared.open(folder / "state")
    first = int(now_s - _DAY_S) // HISTORY_S * HISTORY_S
    for bucket in range(first, int(now_s), HISTORY_S):
        packed = msgspec.json.encode(msgspec.structs.replace(last, at_s=bucket + 10.0))
        store.put_once(f"{history_prefix('digits')}{bucket:012d}/{VERSION}", packed, 2.0 * _DAY_S)
    kept = store.load(status_name("digits", VERSION))
    assert kept is not None
    assert store.swap(status_name("digits", VERSION), kept.token, msgspec.json.encode(last))
    store.close()


def _wide(status: DriftStatus) -> DriftStatus:
    copies = (_named(status.series, "" if n == 0 else f" {n}") for n in range(_TIMES))
    return msgspec.structs.replace(status, series=tuple(chain.from_iterable(copies)))


def _named(series: tuple[SeriesStatus, ...], suffix: str) -> list[SeriesStatus]:
    return [msgspec.structs.replace(one, name=one.name + suffix) for one in series]
