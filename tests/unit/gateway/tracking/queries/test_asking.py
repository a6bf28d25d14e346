"""The watcher of how queries are spread."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from detectors.queries.extraction import Extraction
from gateway.chain import Chain
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.measures import Measure
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.store import StoreError
from gateway.tracking.queries import asking
from gateway.tracking.queries.asking import AskingWatcher
from gateway.tracking.seen import Seen
from gateway.verdict import Judged
from models.backend import Outputs
from models.batch import Array, Batch

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(3000, 6)).astype(np.float32)
LOGITS = RNG.normal(size=(3000, 3))
KNOWN = Extraction.fit(ROWS, Outputs({}, LOGITS, None))


def seen(x: Array, principal: str = "a", logits: Array | None = None, unanswered: bool = False) -> Seen:
    verdicts = Chain(None)._unjudged(len(x))  # type: ignore[arg-type]
    outputs = None if unanswered else Outputs({}, LOGITS[: len(x)] if logits is None else logits, None)
    return Seen("m", principal, "id", Judged(Batch(x), verdicts, outputs))


def told(watcher: AskingWatcher, folder: Path) -> dict[str, Measure]:
    watcher.close(0.0)
    watcher.leave(SqliteShared.open(folder))
    return {each.principal: each for each in PrincipalFile.open(folder).measures()}


def watching(folder: Path) -> AskingWatcher:
    return AskingWatcher({"m": ("v", KNOWN)}, lambda: PrincipalFile.open(folder))


def test_who_asks_everywhere_covers_more_than_who_asks_the_same(tmp_path: Path) -> None:
    watcher = watching(tmp_path)
    watcher.take([seen(ROWS[:500], "everywhere"), seen(np.repeat(ROWS[:1], 500, axis=0), "one")])
    for row in ROWS[:200]:
        watcher.take([seen(row[None], "single")])
    found = told(watcher, tmp_path)
    assert {name: each.rows for name, each in found.items()} == {"everywhere": 500, "one": 500, "single": 200}
    assert found["one"].coverage == 1 / len(KNOWN.cells)
    assert found["single"].coverage == len(set(KNOWN.cells(ROWS[:200]).tolist())) / len(KNOWN.cells)
    assert found["everywhere"].coverage > 0.6


def test_rows_near_the_boundary_are_counted(tmp_path: Path) -> None:
    watcher = watching(tmp_path)
    watcher.take([seen(ROWS[:100], "near", np.zeros((100, 3))), seen(ROWS[:100], "far", np.eye(3)[[0] * 100] * 9)])
    found = told(watcher, tmp_path)
    assert (found["near"].near_boundary, found["far"].near_boundary) == (1.0, 0.0)


def test_rows_without_an_answer_are_only_counted(tmp_path: Path) -> None:
    watcher = watching(tmp_path)
    watcher.take([seen(ROWS[:10], unanswered=True)])
    assert (told(watcher, tmp_path)["a"].rows, told(watcher, tmp_path)["a"].looked) == (10, 0)


def test_what_is_more_than_the_rate_is_only_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ROWS_PER_SECOND", 10.0)
    watcher = watching(tmp_path)
    watcher.take([seen(ROWS[:30]), seen(ROWS[:2000])])
    found = told(watcher, tmp_path)["a"]
    assert (found.rows, found.looked) == (2030, 50)


def test_what_cannot_be_told_waits(tmp_path: Path) -> None:
    watcher = watching(tmp_path)
    (tmp_path / "principals.db").mkdir()
    watcher.take([seen(ROWS[:10])])
    with pytest.raises(StoreError):
        told(watcher, tmp_path)
    (tmp_path / "principals.db").rmdir()
    watcher.take([seen(ROWS[:5])])
    assert told(watcher, tmp_path)["a"].rows == 15


def test_memory_is_bounded_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST", 50)
    watcher = watching(tmp_path)
    watcher.take([seen(ROWS[:1], str(n)) for n in range(300)])
    watcher.close(0.0)
    tracemalloc.start()
    for _ in range(20):
        watcher.take([seen(ROWS[:20], str(n)) for n in range(300)])
        watcher.close(0.0)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000_000
    assert len(told(watcher, tmp_path)) == 50
