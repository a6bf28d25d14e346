"""Other people's drift detectors on the same rows; runs in environments of its own, and imports nothing of watchgate.

    .cache/river-venv/bin/python -m benchmarks.drift.rivals rows.npz results.json

Measures what is installed where it runs, each in a process of its own.

`rows.npz`: `reference`, `honest` and `drift <name>` (n, d) standardized columns; `energy ...` (n,) of the same rows.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.drift.memory import Resident, apart

Array = npt.NDArray[Any]
# Takes rows in order, (n, d) or (n,); the index of the row it alarms at, or None.
Watch = Callable[[Array], "int | None"]
# Takes the reference; what it gives starts a stream.
Make = Callable[[Array], Callable[[], Watch]]
ASKED_ROWS, KS_WINDOW, MMD_WINDOW = 20_000, 200, 50
MMD_REFERENCE, BOOTSTRAPS = 1_000, 25_000  # more bootstraps than rows asked for are needed; each costs 8 ms
AFTER_ROWS = 3_000
ENERGY = "energy "
STREAMS, TRIALS = 20, 10  # without drift, and with each drift


def mmd_online(reference: Array) -> Callable[[], Watch]:
    """MMDDriftOnline with the run length asked for."""
    kind = import_module("alibi_detect.cd").MMDDriftOnline
    detector = kind(
        reference[:MMD_REFERENCE],
        ert=float(ASKED_ROWS),
        window_size=MMD_WINDOW,
        backend="pytorch",
        n_bootstraps=BOOTSTRAPS,
        verbose=False,
    )

    def fresh() -> Watch:
        detector.reset_state()
        return lambda rows: next((at for at, row in enumerate(rows) if detector.predict(row)["data"]["is_drift"]), None)

    return fresh


def ks_windows(reference: Array) -> Callable[[], Watch]:
    """KSDrift on windows of 200 rows, its p-value such that one window in 100 would alarm: one in 20,000 rows."""
    kind = import_module("alibi_detect.cd").KSDrift
    detector = kind(reference, p_val=KS_WINDOW / ASKED_ROWS)

    def watch(rows: Array) -> int | None:
        for end in range(KS_WINDOW, len(rows) + 1, KS_WINDOW):
            if detector.predict(rows[end - KS_WINDOW : end])["data"]["is_drift"]:
                return end - 1
        return None

    return lambda: watch


def river(name: str, settings: dict[str, float], _: Array) -> Callable[[], Watch]:
    """A detector of one number a row, without a reference."""
    kind = getattr(import_module("river.drift"), name)

    def fresh() -> Watch:
        detector = kind(**settings)

        def watch(rows: Array) -> int | None:
            for at, value in enumerate(rows):
                detector.update(float(value))
                if detector.drift_detected:
                    return at
            return None

        return watch

    return fresh


@dataclass(frozen=True)
class Rival:
    """`library` is imported before anything is measured; `reads` what the keys of its rows begin with."""

    library: str
    make: Make
    reads: str = ""


RIVALS = {
    "alibi-detect MMDDriftOnline, window 50": Rival("alibi_detect.cd", mmd_online),
    "alibi-detect KSDrift, windows of 200": Rival("alibi_detect.cd", ks_windows),
    "river ADWIN on energy": Rival("river.drift", partial(river, "ADWIN", {}), ENERGY),
    "river KSWIN on energy": Rival("river.drift", partial(river, "KSWIN", {"alpha": 1e-4, "seed": 1}), ENERGY),
}


def measured(name: str, path: str) -> dict[str, Any]:
    """Rows to an alarm without drift and with each drift, microseconds a row, and megabytes.

    Raises:
        ModuleNotFoundError: its library is not installed.
    """
    warnings.simplefilter("ignore")
    rival, rng = RIVALS[name], np.random.default_rng(0)
    import_module(rival.library)
    data = _read(path, rival.reads)
    streams = [_drawn(data["honest"], ASKED_ROWS, rng) for _ in range(STREAMS)]
    memory, started = Resident(), time.process_time()
    fresh = rival.make(data["reference"])
    told: dict[str, Any] = {"make_s": time.process_time() - started, "making_mb": memory.most()}
    started = time.process_time()
    found = [fresh()(stream) for stream in streams]
    watched = sum(ASKED_ROWS if at is None else at + 1 for at in found)
    told |= {"us": (time.process_time() - started) / watched * 1e6, "watching_mb": memory.most()}
    told |= {"watched": watched, "alarms": sum(at is not None for at in found)}
    drifts = {key.removeprefix("drift "): rows for key, rows in data.items() if key.startswith("drift ")}
    return {**told, "delays": {drift: _delays(fresh, data["honest"], rows, rng) for drift, rows in drifts.items()}}


def _read(path: str, prefix: str) -> dict[str, Array]:
    """What this rival reads, and no more."""
    with np.load(path, allow_pickle=False) as file:
        names = [key for key in file.files if key.startswith(ENERGY) == bool(prefix)]
        return {key.removeprefix(prefix): file[key] for key in names}


def _drawn(rows: Array, count: int, rng: np.random.Generator) -> Array:
    return np.asarray(rows[rng.integers(len(rows), size=count)])


def _delays(fresh: Callable[[], Watch], honest: Array, drifted: Array, rng: np.random.Generator) -> list[float]:
    """Rows from the change on; infinite without an alarm. Trials with an alarm before the change are left out."""
    found = []
    for _ in range(TRIALS):
        before = 400 + int(rng.integers(KS_WINDOW))
        at = fresh()(np.concatenate([_drawn(honest, before, rng), _drawn(drifted, AFTER_ROWS, rng)]))
        if at is None or at >= before:
            found.append(float("inf") if at is None else float(at + 1 - before))
    return found


def main() -> None:
    """Measures what is installed."""
    results: dict[str, Any] = {}
    for name in RIVALS:
        try:
            results[name] = apart(measured, name, sys.argv[1])
        except ModuleNotFoundError:
            continue
        print(name, json.dumps(results[name])[:300], file=sys.stderr, flush=True)
    with open(sys.argv[2], "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    main()
