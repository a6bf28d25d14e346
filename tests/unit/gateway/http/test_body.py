"""Bodies: whole, within a size and a time, and never read further than needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import RequestTimeout, TooLarge
from gateway.http.body import Bodies, Disconnected


class Sent:
    """A caller that sends these chunks, `every_s` apart, and then nothing more or a hang-up."""

    def __init__(self, chunks: Sequence[bytes], *, ends: bool = True, every_s: float = 0.0, leaves: bool = False):
        self.left = list(chunks)
        self.ends, self.every_s, self.leaves = ends, every_s, leaves

    async def __call__(self) -> dict[str, Any]:
        await asyncio.sleep(self.every_s)
        if not self.left:
            if self.leaves:
                return {"type": "http.disconnect"}
            await asyncio.Event().wait()
        chunk = self.left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.left) or not self.ends}


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"", b"bc"], [b""]])
async def test_bodies_are_read_whole(chunks: list[bytes]) -> None:
    assert await Bodies(1.0).read(Sent(chunks), 3) == b"".join(chunks)


async def test_a_body_may_have_no_content_at_all() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    assert await Bodies(1.0).read(receive, 3) == b""


async def test_no_more_is_read_than_one_chunk_over_the_limit() -> None:
    sent = Sent([b"ab"] * 100)
    with pytest.raises(TooLarge, match="expected at most 5 bytes, found 6 or more"):
        await Bodies(1.0).read(sent, 5)
    assert len(sent.left) == 97
    with pytest.raises(TooLarge):
        await Bodies(1.0).read(Sent([b"abcdef"]), 5)


@pytest.mark.parametrize("chunks", [[], [b"a"]])
async def test_a_body_that_does_not_arrive_is_given_up(chunks: list[bytes]) -> None:
    bodies = Bodies(0.05)
    started = time.monotonic()
    with pytest.raises(RequestTimeout, match=r"expected within 0.05 s"):
        await bodies.read(Sent(chunks, ends=False), 100)
    assert 0.04 < time.monotonic() - started < 0.5
    assert await bodies.read(Sent([b"next"]), 100) == b"next"  # the task itself lives on


async def test_a_slow_trickle_is_given_up_too() -> None:
    with pytest.raises(RequestTimeout):
        await Bodies(0.05).read(Sent([b"a"] * 1000, every_s=0.01), 10_000)


async def test_many_readers_each_have_their_own_time() -> None:
    bodies = Bodies(0.08)

    async def late() -> bytes:
        await asyncio.sleep(0.06)
        return await bodies.read(Sent([b"ok"], every_s=0.05), 100)

    slow = asyncio.create_task(bodies.read(Sent([], ends=False), 100))
    assert await late() == b"ok"
    with pytest.raises(RequestTimeout):
        await slow


async def test_callers_may_leave() -> None:
    with pytest.raises(Disconnected):
        await Bodies(1.0).read(Sent([b"a"], ends=False, leaves=True), 100)
    with pytest.raises(Disconnected):
        await Bodies(1.0).read(Sent([], leaves=True), 100)


async def test_cancelling_from_elsewhere_stays_a_cancellation() -> None:
    task = asyncio.create_task(Bodies(1.0).read(Sent([], ends=False), 100))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
