"""A sample of rows: bounded, uniform, and nobody's alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.state.traffic import ALL, Kept, TrafficFile

DAY_NS = 86_400 * 10**9


def rows(rng: np.random.Generator, n: int, at: int, principal: str = "") -> list[Kept]:
    found = rng.integers(0, ALL, size=n).tolist()
    return [Kept(p, principal or f"caller {p % 50}", f"request {at}", at, str(at).encode()) for p in found]


def test_it_is_uniform_over_time_whoever_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    workers = [TrafficFile.open(tmp_path) for _ in range(2)]
    limit = ALL
    for at in range(200):
        came = rows(rng, 50, at)
        limit = workers[at % 2].add("m", [row for row in came if row.priority < limit], 1000, 1.0, 0)
    kept = list(workers[0].rows("m"))
    assert len(kept) == 1000
    assert limit == workers[1].limit("m") == pytest.approx(ALL / 10, rel=0.1)
    quarters = Counter(row.at_ns // 50 for row in kept)
    assert all(200 <= quarters[quarter] <= 300 for quarter in range(4))
    assert list(workers[0].rows("other")) == []


def test_one_principal_fills_no_more_than_its_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = TrafficFile.open(tmp_path)
    for at in range(20):
        file.add("m", [*rows(rng, 100, at, "loud"), *rows(rng, 10, at)], 500, 0.1, 0)
    whose = Counter(row.principal for row in file.rows("m"))
    assert whose["loud"] == 50
    assert sum(whose.values()) == 250


def test_rows_that_are_too_old_make_room(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = TrafficFile.open(tmp_path)
    for at in range(10):
        file.add("m", rows(rng, 100, at * DAY_NS), 200, 1.0, 0)
    before = file.limit("m")
    assert file.add("m", rows(rng, 10, 10 * DAY_NS), 200, 1.0, 9 * DAY_NS) > before
    assert min(row.at_ns for row in file.rows("m")) == 9 * DAY_NS


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="expected rows of production of a gateway that has served, found no file"):
        TrafficFile.open(tmp_path, make=False)
