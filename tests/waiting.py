"""Waits for what other threads or processes bring about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def until(true: Callable[[], bool], within_s: float = 30.0, every_s: float = 0.01) -> None:
    """Asks until the function gives true."""
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, f"nothing happened in {within_s:g} seconds"
        time.sleep(every_s)


async def awaited(true: Callable[[], bool], within_s: float = 30.0) -> None:
    """The same, while the event loop goes on."""
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, f"nothing happened in {within_s:g} seconds"
        await asyncio.sleep(0.005)
