"""The micro-batcher: who shares a batch with whom, and that nobody shares a failure."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.batchcost import INLINE_S, Cost
from gateway.batcher import LONELY, Batcher
from gateway.config import Limits
from gateway.errors import Unavailable
from gateway.verdict import Judged, Verdicts
from models.backend import Outputs
from models.batch import Array, Batch


class Heard:
    """Remembers the batches that ran."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def batch(self, judged: Judged, seconds: float, requests: int) -> None:
        self.batches.append((len(judged.batch), requests))


def twice(batch: Batch) -> Judged:
    """Judges nothing and doubles; fails on any row that holds -1."""
    if (batch.x == -1).any():
        raise ArithmeticError("minus one")
    n = len(batch)
    clean = np.zeros(n, np.uint8)
    return Judged(
        batch, Verdicts(clean, clean, np.ones(n), np.ones(n), clean, ()), Outputs({"y": batch.x * 2}), rows_run=n
    )


def slow(seconds: float, then: Callable[[Batch], Judged] = twice) -> Callable[[Batch], Judged]:
    def judge(batch: Batch) -> Judged:
        time.sleep(seconds)
        return then(batch)

    return judge


def rows(*values: float, width: int = 1) -> Batch:
    return Batch(np.array([[value] * width for value in values], dtype=np.float32))


def batcher(judge: Callable[[Batch], Judged] = twice, *, ragged: bool = False, **limits: Any) -> tuple[Batcher, Heard]:
    heard = Heard()
    return Batcher(judge, Limits(**limits), heard, ragged=ragged), heard


def answer(judged: Judged) -> Array:
    assert judged.outputs is not None
    return judged.outputs.tensors["y"]


async def test_requests_of_one_turn_share_a_batch_and_each_gets_its_own_rows() -> None:
    lane, heard = batcher()
    futures = [lane.submit(rows(*range(n))) for n in (1, 3, 2)]
    for n, judged in zip((1, 3, 2), await asyncio.gather(*futures), strict=True):
        np.testing.assert_array_equal(answer(judged)[:, 0], 2.0 * np.arange(n))
        assert len(judged.verdicts) == n
    assert heard.batches == [(6, 3)]
    assert lane.queued_rows == 0


async def test_a_batch_takes_no_more_rows_than_fit_and_a_large_request_runs_alone() -> None:
    lane, heard = batcher(max_batch_rows=4)
    futures = [lane.submit(rows(*range(n))) for n in (3, 2, 9, 1, 1)]
    for n, judged in zip((3, 2, 9, 1, 1), await asyncio.gather(*futures), strict=True):
        np.testing.assert_array_equal(answer(judged)[:, 0], 2.0 * np.arange(n))
    assert heard.batches == [(3, 1), (2, 1), (9, 1), (2, 2)]


async def test_only_rows_of_one_shape_share_a_batch_and_nobody_is_forgotten() -> None:
    lane, heard = batcher(ragged=True)
    futures = [lane.submit(rows(1, width=width)) for width in (2, 3, 2, 3, 4)]
    shapes = [answer(judged).shape for judged in await asyncio.gather(*futures)]
    assert shapes == [(1, 2), (1, 3), (1, 2), (1, 3), (1, 4)]
    assert heard.batches == [(2, 2), (2, 2), (1, 1)]


async def test_a_request_that_fails_fails_alone() -> None:
    lane, _ = batcher()
    futures = [lane.submit(rows(value)) for value in (1, -1, 2)]
    found = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(each) for each in found] == [Judged, ArithmeticError, Judged]
    assert answer(await lane.submit(rows(5)))[0, 0] == 10


async def test_what_arrives_while_a_batch_runs_makes_up_the_next() -> None:
    lane, heard = batcher(slow(0.05))
    first = lane.submit(rows(1))
    await asyncio.sleep(0.02)
    others = [lane.submit(rows(value)) for value in (2, 3)]
    assert lane.queued_rows == 2
    for judged in await asyncio.gather(first, *others):
        assert len(judged.verdicts) == 1
    assert heard.batches == [(1, 1), (2, 2)]


async def test_slow_batches_leave_the_event_loop_and_quick_ones_stay() -> None:
    threads = []

    def judge(batch: Batch) -> Judged:
        threads.append(threading.current_thread())
        return twice(batch)

    lane, _ = batcher(judge)
    for _ in range(100):
        await lane.submit(rows(1))
    assert threads[0] is not threading.main_thread()  # unknown yet
    assert threads[-1] is threading.main_thread()
    late, _ = batcher(slow(3 * INLINE_S, judge))
    for _ in range(5):
        await late.submit(rows(1))
    assert threads[-1] is not threading.main_thread()


async def test_lonely_requests_run_at_once_and_look_for_company_now_and_then() -> None:
    lane, heard = batcher()
    for _ in range(50):  # learns that batches are quick
        await lane.submit(rows(1))
    found = [lane.at_once(rows(1)) is not None for _ in range(10 * LONELY)]
    assert sum(found) == 9 * (LONELY - 1)
    assert not any(found[: LONELY - 1])
    pair = [lane.submit(rows(1)), lane.submit(rows(2))]
    assert lane.at_once(rows(3)) is None  # would overtake them
    await asyncio.gather(*pair)
    assert heard.batches[-1] == (2, 2)
    assert lane.at_once(rows(1)) is None  # there was company just now


async def test_a_full_queue_refuses_at_once() -> None:
    lane, _ = batcher(slow(0.05), max_queued_rows=3)
    running = lane.submit(rows(1))
    await asyncio.sleep(0.02)
    waiting = lane.submit(rows(1, 2, 3))
    with pytest.raises(Unavailable, match="overloaded: 3 rows are waiting"):
        lane.submit(rows(4))
    assert Unavailable.retry_after_s == 1
    await asyncio.gather(running, waiting)
    await lane.submit(rows(4))


async def test_a_request_alone_may_be_larger_than_the_queue() -> None:
    lane, _ = batcher(max_queued_rows=3)
    assert len((await lane.submit(rows(*range(9)))).verdicts) == 9


async def test_requests_that_wait_too_long_are_given_up_and_the_lane_goes_on() -> None:
    lane, _ = batcher(slow(0.2), timeout_ms=60)
    running = lane.submit(rows(1))
    await asyncio.sleep(0.01)
    waiting = lane.submit(rows(2))
    started = time.monotonic()
    for future in (running, waiting):
        with pytest.raises(Unavailable, match="no answer within 60 ms"):
            await future
    assert time.monotonic() - started < 0.15
    await asyncio.sleep(0.3)
    lane._judge = twice
    assert answer(await lane.submit(rows(3)))[0, 0] == 6


async def test_a_cancelled_request_is_left_out_and_hurts_nobody() -> None:
    lane, heard = batcher()
    gone, here = lane.submit(rows(1)), lane.submit(rows(2))
    gone.cancel()
    assert answer(await here)[0, 0] == 4
    assert heard.batches == [(1, 1)]


async def test_draining_answers_what_was_accepted_and_takes_no_more() -> None:
    lane, _ = batcher(slow(0.03))
    futures = [lane.submit(rows(1))]
    await asyncio.sleep(0.01)
    futures.append(lane.submit(rows(2)))
    assert await lane.drain(5.0)
    assert all(future.done() for future in futures)
    with pytest.raises(Unavailable, match="shutting down"):
        lane.submit(rows(3))
    assert lane.at_once(rows(3)) is None


async def test_draining_gives_up_on_a_pass_that_hangs() -> None:
    lane, _ = batcher(slow(0.3))
    running = lane.submit(rows(1))
    await asyncio.sleep(0.01)
    assert not await lane.drain(0.05)
    await running


async def test_rows_come_back_right_under_random_traffic() -> None:
    rng = np.random.default_rng(0)
    lane, heard = batcher(slow(0.0005), max_batch_rows=8, max_queued_rows=10_000)

    async def one(value: int) -> None:
        await asyncio.sleep(float(rng.random()) * 0.05)
        batch = rows(*range(value, value + int(rng.integers(1, 12))))
        judged = lane.at_once(batch) or await lane.submit(batch)
        np.testing.assert_array_equal(answer(judged), batch.x * 2)

    await asyncio.gather(*[one(value) for value in range(300)])
    assert any(requests > 1 for _, requests in heard.batches)
    assert sum(requests for _, requests in heard.batches) == 300


def test_one_interrupted_batch_does_not_upset_the_estimate() -> None:
    cost = Cost()
    for _ in range(50):
        cost.learn(1, 0.0001)
    assert cost.seconds(1) < INLINE_S / 5
    cost.learn(1, 0.5)
    assert cost.seconds(1) < INLINE_S
    for _ in range(50):
        cost.learn(1, 0.5)
    assert cost.seconds(1) > INLINE_S


def test_the_estimate_grows_with_rows() -> None:
    cost = Cost()
    for _ in range(100):
        cost.learn(10, 0.001)
    assert cost.seconds(100) == pytest.approx(0.01, rel=0.2)
    assert cost.seconds(1) == pytest.approx(0.001, rel=0.2)
