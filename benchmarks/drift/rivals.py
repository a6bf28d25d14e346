"""Other people's drift detectors on the same rows; runs in environments of its own, and imports nothing of watchgate.

    .cache/river-venv/bin/python benchmarks/drift/rivals.py rows.npz results.json

Measures what is installed where it runs.

`rows.npz`: `reference`, `honest` and `drift <name>` (n, d) standardized columns; `energy ...` (n,) of the same rows.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# Takes rows in order, (n, d) or (n,); the index of the row it alarms at, or None.
Watch = Callable[[Array], "int | None"]
ASKED_ROWS, KS_WINDOW, MMD_WINDOW = 20_000, 200, 50
AFTER_ROWS = 3_000


def mmd_online(reference: Array) -> Callable[[], Watch]:
    """MMDDriftOnline with the run length asked for."""
    kind = import_module("alibi_detect.cd").MMDDriftOnline
    detector = kind(
        reference[:1000],
        ert=float(ASKED_ROWS),
        window_size=MMD_WINDOW,
        backend="pytorch",
        n_bootstraps=25_000,
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


def river(name: str, **settings: float) -> Callable[[Array], Callable[[], Watch]]:
    """A detector of one number a row."""
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

    return lambda reference: fresh


RIVALS: dict[str, tuple[Callable[[], Callable[[Array], Callable[[], Watch]]], str, int, int]] = {
    # name: how to make it, what it reads, streams without drift, trials a drift
    "alibi-detect MMDDriftOnline, window 50": (lambda: mmd_online, "columns", 2, 5),
    "alibi-detect KSDrift, windows of 200": (lambda: ks_windows, "columns", 10, 10),
    "river ADWIN on energy": (lambda: river("ADWIN"), "energy", 20, 20),
    "river KSWIN on energy": (lambda: river("KSWIN", alpha=1e-4, seed=1), "energy", 3, 5),
}


def measured(name: str, data: dict[str, Array]) -> dict[str, Any]:
    """Rows to an alarm without drift and with each drift, and microseconds a row."""
    make, reads, streams, trials = RIVALS[name]
    prefix = "energy " if reads == "energy" else ""
    rng = np.random.default_rng(0)
    honest = data[prefix + "honest"]
    fresh = make()(data[prefix + "reference"])
    watched = alarms = 0
    started = time.process_time()
    for _ in range(streams):
        at = fresh()(honest[rng.integers(len(honest), size=ASKED_ROWS)])
        watched, alarms = watched + (ASKED_ROWS if at is None else at + 1), alarms + (at is not None)
    us = (time.process_time() - started) / watched * 1e6
    delays = {}
    for key in (key for key in data if key.startswith(prefix + "drift ")):
        found = [_delay(fresh(), honest, data[key], rng) for _ in range(trials)]
        delays[key.removeprefix(prefix + "drift ")] = [value for value in found if value is not None]
    return {"watched": watched, "alarms": alarms, "us": us, "delays": delays}


def _delay(watch: Watch, honest: Array, drifted: Array, rng: np.random.Generator) -> float | None:
    """Rows from the change on; infinite without an alarm, None for an alarm before it."""
    before = 400 + int(rng.integers(KS_WINDOW))
    rows = [honest[rng.integers(len(honest), size=before)], drifted[rng.integers(len(drifted), size=AFTER_ROWS)]]
    at = watch(np.concatenate(rows))
    if at is None:
        return float("inf")
    return float(at + 1 - before) if at >= before else None


def main() -> None:
    """Measures what is installed."""
    with np.load(sys.argv[1], allow_pickle=False) as file:
        data = {key: file[key] for key in file.files}
    results: dict[str, Any] = {}
    for name in RIVALS:
        try:
            results[name] = measured(name, data)
        except ModuleNotFoundError:
            continue
        print(name, json.dumps(results[name])[:300], file=sys.stderr, flush=True)
    with open(sys.argv[2], "w") as out:
        json.dump(results, out)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
