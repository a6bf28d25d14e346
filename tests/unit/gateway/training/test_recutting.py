"""Cuts on rows of production: what they are set on, and what stays as it was."""

from __future__ import annotations

import json
import time
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from gateway.config import Config
from gateway.errors import OperatorError
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.store import Mark
from gateway.state.sqlite import SqliteStore
from gateway.state.traffic import TrafficFile
from gateway.telemetry.describe import describe
from gateway.telemetry.observation import Observation
from gateway.tracking.seen import Seen
from gateway.tracking.traffic import TrafficWatcher
from gateway.training.bundle import MANIFEST
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoint
from gateway.training.recutting import recut
from models.batch import Array, Batch
from tests.project import Project

BUDGET = {"flag": 0.1, "reject": 0.02}


def config_of(project: Project, **endpoint: Any) -> Config:
    config = project.config(budget=BUDGET, chain=[{"kind": "mahalanobis"}], mode="shadow", **endpoint)
    return config.model_copy(update={"state": config.state.model_copy(update={"path": project.folder / "state"})})


def holdout(project: Project) -> Array:
    with np.load(project.folder / "test.npz") as file:
        x: Array = file["x"]
    return x


def served(config: Config, x: Array, callers: int = 20, first: str = "caller") -> list[Seen]:
    """The rows as a gateway keeps them, one request each."""
    endpoint = load_endpoint(config, "digits")
    seed = crc32(first.encode())
    watcher = TrafficWatcher(["digits"], 2000, 0.1, 1e6, lambda: TrafficFile.open(config.state.path), seed)
    seen = []
    for row, each in enumerate(x):
        judged = endpoint.chain.run(Batch(each[None]))
        seen.append(Seen("digits", f"{first} {row % callers}", f"{first}{row:027d}", judged))
    for start in range(0, len(seen), 400):
        watcher.take(seen[start : start + 400])
        watcher._rates["digits"]._saved = 1e9  # the test is faster than a clock
        watcher._flush()
    watcher.close(0.0)
    return seen


def manifest(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / "bundle" / "digits" / MANIFEST).read_text())
    return found


def test_cuts_move_to_what_production_is_like(project: Project) -> None:
    config = config_of(project)
    calibrate(config, "digits")
    before = manifest(project)
    x = holdout(project)
    noisy = np.clip(x + np.random.default_rng(0).normal(0, 0.15, x.shape), 0, 1).astype(np.float32)
    served(config, noisy)
    report = recut(config, "digits")
    after = manifest(project)
    assert after["version"] != before["version"]
    assert after["cuts"]["flag"] < before["cuts"]["flag"]  # noise is usual here
    assert after["cuts"]["reject"] < before["cuts"]["reject"]
    assert {**before["files"], "calibrated.npz": ""} == {**after["files"], "calibrated.npz": ""}
    assert after["data"]["traffic"]
    assert report.measured.flag is not None
    assert report.measured.flag.as_predicted
    assert any(note.startswith("the cuts moved: flag ") for note in report.notes)
    assert "one principal sent 5" in report.warnings[0]
    endpoint = load_endpoint(config, "digits")
    flagged = (endpoint.chain.run(Batch(noisy)).verdicts.shadowed > 0).mean()
    assert flagged == pytest.approx(BUDGET["flag"], abs=0.05)
    again = recut(config, "digits")  # on the same rows: nothing moves
    assert manifest(project)["cuts"] == after["cuts"]
    assert again.version == report.version


def test_attacks_and_marked_principals_are_left_out(project: Project) -> None:
    config = config_of(project)
    calibrate(config, "digits")
    x = holdout(project)
    seen = served(config, x)
    calm = recut(config, "digits")
    attack = np.random.default_rng(1).random((200, *x.shape[1:])).astype(np.float32)
    told = served(config, attack[:100], 20, "told")
    served(config, attack[100:], 10, "marked")
    poisoned = recut(config, "digits")
    assert poisoned.stages[0].info.reject_score > calm.stages[0].info.reject_score
    store = SqliteStore.open_for_writing(config.state.path)
    info = load_endpoint(config, "digits").info
    for each in (*told, seen[0]):
        entry = describe(Observation(each.id, info, 0, 0, each.principal, "", 200, each.judged))
        store.marks.put(entry.record, "honest" if each is seen[0] else "attack")
    store.close()
    principals = PrincipalFile.open(config.state.path)
    now = time.time_ns()
    marks = {f"marked {n}": Mark(f"marked {n}", "digits", "alike", 3, now, now + 10**12) for n in range(10)}
    principals.add(marks, {}, now)
    principals.close()
    cleaned = recut(config, "digits")
    assert "200 rows of attacks or marked principals are left out" in cleaned.notes[1]
    assert cleaned.stages[0].info.reject_score == pytest.approx(calm.stages[0].info.reject_score, rel=1e-6)


def test_too_few_rows_are_refused_with_how_many_would_do(project: Project) -> None:
    config = config_of(project)
    calibrate(config, "digits")
    with pytest.raises(OperatorError, match=r"have `state.capture.traffic_rows` keep some, found no file"):
        recut(config, "digits")
    served(config, holdout(project)[:60])
    says = r"a reject budget of 0.02 \(guarantee: average\) needs 99 rows of production, found 60"
    with pytest.raises(OperatorError, match=says):
        recut(config, "digits")
    with pytest.raises(OperatorError, match=r"endpoints: expected one of digits, found 'other'"):
        recut(config, "other")
