"""Numbers of one worker, their sum over several, and what Prometheus reads."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics.meter import Histogram, Meter, Numbers, added, exposition, key
from gateway.metrics.tally import Tally
from gateway.verdict import Judged, StageRun, Verdicts
from models.batch import Batch


def verdicts(*actions: int, stages: int = 1) -> Verdicts:
    n = len(actions)
    rows = np.array(actions, dtype=np.uint8)
    nothing = np.zeros(n)
    runs = tuple(StageRun(f"s{i}", nothing, nothing, 0, 1_000_000) for i in range(stages))
    return Verdicts(rows, rows, nothing, nothing, np.array([0 if a else -1 for a in actions]), runs)


def read(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def full_meter() -> Meter:
    meter = Meter("m")
    seen = verdicts(0, 1, 2, 2, 0)
    assert meter.judged(seen.take(slice(0, 4))) == 2
    assert meter.judged(seen.take(slice(4, 5))) == 0
    meter.answered(200, 0.0015)
    meter.answered(403, 20.0)
    meter.batch(Judged(Batch(np.zeros((5, 1))), seen, None), 0.25, 2)
    meter.refusals["BadRequest"] += 1
    return meter


def test_prometheus_reads_what_was_counted() -> None:
    found = read(exposition(full_meter().numbers()))
    own = ("endpoint", "m")
    assert found["watchgate_requests_total", (own, ("status", "403"))] == 1
    assert found["watchgate_rows_total", (("action", "allow"), own)] == 2
    assert found["watchgate_rows_total", (("action", "reject"), own)] == 2
    assert found["watchgate_decided_rows_total", (("action", "reject"), own, ("stage", "s0"))] == 2
    assert found["watchgate_refusals_total", (own, ("reason", "BadRequest"))] == 1
    assert found["watchgate_stage_seconds_sum", (own, ("stage", "s0"))] == 0.001
    assert found["watchgate_stage_seconds_count", (own, ("stage", "s0"))] == 1
    assert found["watchgate_batch_seconds_sum", (own,)] == 0.25
    assert found["watchgate_request_seconds_bucket", (own, ("le", "0.002"))] == 1
    assert found["watchgate_request_seconds_bucket", (own, ("le", "10"))] == 1
    assert found["watchgate_request_seconds_bucket", (own, ("le", "+Inf"))] == 2
    assert found["watchgate_request_seconds_count", (own,)] == 2


def test_shadow_rows_are_counted_where_they_differ() -> None:
    meter = Meter("m")
    seen = verdicts(0, 0)
    shadowed = Verdicts(
        seen.actions, np.array([0, 2], np.uint8), seen.statistic, seen.p_value, seen.decided, seen.stages
    )
    meter.judged(shadowed)
    assert meter.actions == [2, 0, 0]
    assert meter.shadowed == [1, 0, 1]


def test_an_endpoint_that_never_shadows_counts_none() -> None:
    assert full_meter().shadowed == [0, 0, 0]


def test_buckets_take_their_upper_end() -> None:
    histogram = Histogram((1, 2))
    for value in (1, 1.5, 2, 3):
        histogram.add(value)
    assert histogram.counts == [1, 2, 1]


def test_sums_add_key_by_key() -> None:
    a, b = key("n", {"x": "1"}), key("n", {"x": "2"})
    assert added([{a: 1}, {a: 2, b: 5}, {}]) == {a: 3, b: 5}


TOTAL = key("watchgate_rows_total", {"endpoint": "m", "action": "allow"})
GAUGE = key("watchgate_queued_rows", {"endpoint": "m"})


def numbers(total: int, gauge: int = 0) -> Numbers:
    return {TOTAL: total, GAUGE: gauge}


def test_workers_add_up(tmp_path: Path) -> None:
    one, two = Tally(tmp_path), Tally(tmp_path)
    one.write(numbers(3, 1))
    two.write(numbers(4, 2))
    assert one.total() == two.total() == numbers(7, 3)
    one.write(numbers(5, 0))
    assert two.total() == numbers(9, 2)


def test_a_dead_workers_counts_stay_and_its_gauges_go(tmp_path: Path) -> None:
    one, two = Tally(tmp_path), Tally(tmp_path)
    one.write(numbers(3, 1))
    two.write(numbers(4, 2))
    one.close()
    assert two.total() == numbers(7, 2)
    three = Tally(tmp_path)
    assert three.total() == numbers(7, 2)
    three.write(numbers(1, 1))
    assert two.total() == numbers(8, 3)
    assert len(list(tmp_path.glob("worker-*.json"))) == 2


def _work_and_die(folder: Path, total: int) -> None:
    Tally(folder).write(numbers(total))
    os._exit(9)  # without a chance to tidy up


def test_counts_never_fall_when_workers_are_killed_and_replaced(tmp_path: Path) -> None:
    watcher = Tally(tmp_path)
    seen = []
    for total in (5, 7, 2):
        process = multiprocessing.get_context("spawn").Process(target=_work_and_die, args=(tmp_path, total))
        process.start()
        process.join(60)
        assert process.exitcode == 9
        seen.append(watcher.total()[TOTAL])
    assert seen == [5, 12, 14]


def test_a_torn_file_is_left_out(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    tally.write(numbers(3))
    (tmp_path / "worker-x.json").write_text("[[")
    assert tally.total() == numbers(3)
