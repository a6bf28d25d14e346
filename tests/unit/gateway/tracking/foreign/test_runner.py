"""Trackers of alibi-detect's detectors, where it is installed; what is kept of them, and what is refused."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.alibi_saved import Saved
from gateway.chain import Chain
from gateway.errors import OperatorError
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.exchange import Exchange
from gateway.tracking.foreign.config import AlibiTracker
from gateway.tracking.foreign.opening import open_foreign
from gateway.tracking.foreign.report import TrackerStatus, read_trackers
from gateway.tracking.foreign.runner import ForeignTracker
from gateway.tracking.foreign.state import Known, pack, unpack
from gateway.tracking.seen import Seen
from gateway.tracking.storeclock import StoreClock
from gateway.verdict import Judged
from models.batch import Array, Batch
from tests.waiting import until

installed = find_spec("alibi_detect") is not None
needs_alibi = pytest.mark.skipif(not installed, reason="alibi-detect is not installed: an optional extra")
RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=(150, 4)).astype(np.float32)
STREAM = RNG.normal(size=(300, 4)).astype(np.float32)


def save(folder: Path, name: str, **parameters: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it and its dependencies say when they are imported
        import alibi_detect.cd
        from alibi_detect.saving import save_detector

        save_detector(getattr(alibi_detect.cd, name)(REFERENCE, **parameters), folder)
    return folder


class Running:
    """A tracker at work on a store, as in a worker."""

    def __init__(self, state: Path, folder: Path, **stated: Any) -> None:
        settings = AlibiTracker(kind="alibi", path=folder, rows_per_second=1000.0, **stated)
        clock = StoreClock()
        self.tracker = ForeignTracker("m", "v", settings, Saved.read(folder), clock)
        self.exchange = Exchange([self.tracker], lambda: SqliteShared.open(state), clock, every_s=0.02)
        self.store = SqliteShared.open(state)
        self.tracker.start()
        self.exchange.start()
        until(lambda: self.tracker._leading, 60.0)

    def ask(self, x: Array, flagged: bool = False) -> None:
        verdicts = Chain(None)._unjudged(len(x))  # type: ignore[arg-type]
        verdicts.shadowed[:] = int(flagged)
        self.tracker.take([Seen("m", "a", "id", Judged(Batch(x), verdicts, None))])

    def status(self, true: Callable[[TrackerStatus], bool]) -> TrackerStatus:
        found: list[TrackerStatus] = []

        def told() -> bool:
            found[:] = [each for each in read_trackers(self.store, "m", "v", ["alibi"]) if true(each)]
            return bool(found)

        until(told, 60.0)
        return found[0]

    def close(self) -> None:
        self.tracker.close(time.monotonic() + 10.0)
        self.exchange.close(10.0)
        self.store.close()


@needs_alibi
def test_windows_of_allowed_rows_are_looked_at(tmp_path: Path) -> None:
    running = Running(tmp_path / "state", save(tmp_path / "saved", "KSDrift"), window=100)
    running.ask(STREAM[:150])
    running.ask(STREAM[:90] + 5, flagged=True)  # no drift
    clean = running.status(lambda each: each.rows == 100)
    assert clean.series is not None
    assert not clean.series.drifted
    assert len(clean.p_values) == 4
    assert clean.series.statistic == pytest.approx(-np.log10(min(clean.p_values)))
    running.ask(STREAM[150:300] + 2)
    moved = running.status(lambda each: each.rows == 300)
    assert moved.series is not None
    assert moved.series.drifted
    assert moved.series.since_s is not None
    assert moved.series.kind == "KSDrift"
    running.close()


@needs_alibi
def test_an_online_detector_goes_on_in_the_next_process(tmp_path: Path) -> None:
    online = {"ert": 50, "window_size": 10, "backend": "pytorch", "n_bootstraps": 200, "verbose": False}
    folder = save(tmp_path / "saved", "MMDDriftOnline", **online)
    results = []
    for state, cuts in (("one", [0, 60]), ("two", [0, 25, 60])):
        for start, end in pairwise(cuts):
            running = Running(tmp_path / state, folder)
            running.ask(STREAM[start:end])
            status = running.status(lambda each, end=end: each.rows == end)  # type: ignore[misc]
            running.close()
        assert status.series is not None
        results.append((status.series.statistic, status.series.threshold, status.rows))
    assert results[0] == pytest.approx(results[1])


@needs_alibi
def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "config.toml").write_text('name = "NoDrift"\nx_ref = "x_ref.npy"\n')
    np.save(tmp_path / "saved" / "x_ref.npy", REFERENCE)
    running = Running(tmp_path / "state", tmp_path / "saved")
    assert "alibi-detect can't load it" in str(running.status(lambda each: each.error is not None).error)
    assert running.tracker.stats()["tracker_failures"] == 1
    running.close()


def test_the_state_is_kept_as_arrays() -> None:
    packed = pack(Known("d", 7, 12.5), {"thresholds": np.arange(3.0)})
    found = unpack(packed, "d")
    assert (found.rows, found.since_s) == (7, 12.5)
    assert found.arrays["thresholds"].tolist() == [0.0, 1.0, 2.0]
    for other in (unpack(packed, "other"), unpack(b"broken", "d"), unpack(None, "d")):
        assert (other.rows, other.since_s, dict(other.arrays)) == (0, None, {})


def test_trust_needs_a_pin() -> None:
    with pytest.raises(ValidationError, match="expected with `sha256`"):
        AlibiTracker(kind="alibi", path=Path("saved"), trust=True)


def test_what_may_run_code_is_refused_before_serving(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('name = "KSDrift"\n')
    (tmp_path / "function.dill").write_bytes(b"code")

    def endpoints(**stated: Any) -> Any:
        tracker = AlibiTracker(kind="alibi", path=tmp_path, **stated)
        return {"m": SimpleNamespace(config=SimpleNamespace(trackers=[tracker]), info=SimpleNamespace(version="v"))}

    with pytest.raises(OperatorError, match=r"endpoints.m.trackers\[0\]: .*function.dill: is not an array"):
        open_foreign(endpoints(), StoreClock())
    with pytest.raises(OperatorError, match="it has changed"):
        open_foreign(endpoints(trust=True, sha256="0" * 64), StoreClock())
    pinned = endpoints(trust=True, sha256=Saved.read(tmp_path).digest)
    if installed:
        assert len(open_foreign(pinned, StoreClock())) == 1
    else:
        with pytest.raises(OperatorError, match=r"install watchgate\[alibi\]"):
            open_foreign(pinned, StoreClock())
