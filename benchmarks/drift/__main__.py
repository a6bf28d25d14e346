"""`python -m benchmarks.drift`: false alarms, delays and cost of the drift monitor, on MNIST features and on adult."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import machine
from benchmarks.data import CACHE, ROOT, DataMissing
from benchmarks.drift import cost
from benchmarks.drift.memory import apart
from benchmarks.drift.report import page
from benchmarks.drift.runs import RunLengths, delays, designed, run_lengths, split
from benchmarks.drift.subjects import Subject, adult_subject, mnist_subject
from benchmarks.tables import RESULTS, write
from detectors.drift.encoder import Rows
from detectors.drift.outputs import output_series
from detectors.drift.schedule import Schedule
from models.batch import Array

NAME = "drift"
FOLDER = CACHE / "drift"
PACKAGES = ("numpy", "scipy", "torch")
SCHEDULES = (Schedule(2000, 20_000), Schedule(1000, 5_000))
LATE = (SCHEDULES[0], Schedule(4000, 20_000))
SPLITS, STREAMS, TRIALS = 20, 10, 50
VENVS = ("river-venv", "alibi-venv")
SUBJECTS: dict[str, Callable[[], Subject]] = {"mnist": mnist_subject, "adult": adult_subject}


def main() -> int:
    """Status 2 where a data set is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few streams: shows that all works, measures little")
    parser.add_argument("--only", choices=sorted(SUBJECTS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    facts = machine.facts(PACKAGES)
    names = [asked.only] if asked.only else list(SUBJECTS)
    resumed = any(FOLDER.glob("*.json"))
    try:
        found = {name: measured(name, asked.quick) for name in names}
    except DataMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    command = "python -m benchmarks.drift" + " --quick" * asked.quick + (f" --only {asked.only}" if asked.only else "")
    whole = not asked.quick and not asked.only
    document = {"command": command, "machine": facts, "resumed": resumed, "subjects": found}
    path, _ = write(NAME, page(document), document, RESULTS if whole else CACHE / "results")
    print(path.read_text())
    return 0


def measured(name: str, quick: bool) -> dict[str, Any]:
    """Everything about one subject, as it stands in the result file."""
    splits, streams, trials = (2, 3, 5) if quick else (SPLITS, STREAMS, TRIALS)
    subject = cache(SUBJECTS[name])  # read when first asked for: not where all is remembered
    runs = []
    for schedule in SCHEDULES:
        key = f"{name}-{schedule.window_rows}-{schedule.false_alarm_rows}-{splits}-{streams}"
        make = partial(_runs, subject, schedule, splits, streams)
        kept = remembered(key, make)
        runs.append({"window": schedule.window_rows, "asked": schedule.false_alarm_rows, **kept, **_average(kept)})
    found = remembered(f"{name}-late-{trials}", lambda: late(subject(), trials))
    return {"runs": runs, **found, "rivals": compared(subject) if name == "mnist" and not quick else {}}


def _runs(subject: Callable[[], Subject], schedule: Schedule, splits: int, streams: int) -> dict[str, Any]:
    return asdict(run_lengths(subject(), schedule, splits, streams, tell))


def late(subject: Subject, trials: int) -> dict[str, Any]:
    """Delays by window, and the cost of the first of the monitors."""
    reference, rest = split(subject, 99)
    few, told = rest.take(slice(0, 8000)), {}
    for schedule in LATE[::-1]:
        started = time.process_time()
        monitor = designed(subject, reference, schedule, 0)
        design_s = time.process_time() - started
        found = delays(subject, monitor, rest, trials)
        told[str(schedule.window_rows)] = {drift: _told(rows) for drift, rows in found}
    us = {str(batch): cost.sums_us(monitor, few, batch) for batch in cost.BATCHES}
    spent = {"sums_us": us, "fold_us": cost.fold_us(monitor, few), "state_bytes": cost.state_bytes(monitor, few)}
    taken = apart(cost.megabytes, replace(subject, unseen=few, drifts={}), reference, rest, LATE[0])
    return {"delays": told, "design_s": design_s, "series": len(monitor.names), **spent, **taken}


def _average(kept: dict[str, Any]) -> dict[str, Any]:
    found = RunLengths(**kept)
    return {"average": found.average, "interval95": list(found.interval)}


def _told(found: Any) -> dict[str, Any]:
    """Median and 90th percentile of the delays; None for none within the rows watched."""
    values = [float(np.quantile(found, share, method="higher")) if len(found) else np.inf for share in (0.5, 0.9)]
    median, slow = (value if np.isfinite(value) else None for value in values)
    return {"trials": len(found), "median": median, "p90": slow}


def compared(subject: Callable[[], Subject]) -> dict[str, Any]:
    """The rivals that have an environment of their own, on the same reference, rows and drifts."""
    pythons = [CACHE.parent / venv / "bin" / "python" for venv in VENVS]
    return {name: told for python in pythons for name, told in _run(python, subject).items()}


def _write_rows(subject: Subject) -> Path:
    reference, rest = split(subject, 99)
    first = _components(subject, reference)
    arrays = {}
    for key, rows in {"reference": reference, "honest": rest, **_drifts(subject)}.items():
        columns = _components(subject, rows)
        arrays[key] = ((columns - first.mean(axis=0)) / first.std(axis=0)).astype(np.float32)
        arrays[f"energy {key}"] = output_series(np.asarray(rows.logits))[2]
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez(FOLDER / "rows.npz", **arrays)
    return FOLDER / "rows.npz"


def _components(subject: Subject, rows: Rows) -> Array:
    assert subject.projection is not None
    return np.stack(subject.projection(np.asarray(rows.columns))[:-1], axis=1)


def _drifts(subject: Subject) -> dict[str, Any]:
    return {f"drift {name}": rows for name, rows in subject.drifts.items()}


def _run(python: Path, subject: Callable[[], Subject]) -> dict[str, Any]:
    if not python.exists():
        tell(f"skipped: no {python.parents[1].name} (benchmarks/README.md says how to make it)")
        return {}

    def make() -> dict[str, Any]:
        out = FOLDER / "rival.json"
        command: list[str | Path] = [python, "-m", "benchmarks.drift.rivals", _write_rows(subject()), out]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found = json.loads(out.read_text())
        return {
            name: {**told, "delays": {key: _told(rows) for key, rows in told["delays"].items()}}
            for name, told in found.items()
        }

    return remembered(python.parents[1].name, make)


def remembered(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` returns, kept in the cache under this name: a run cut off goes on where it was."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def tell(line: str) -> None:
    """To whoever waits."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
