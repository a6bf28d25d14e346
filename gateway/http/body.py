"""Request bodies: read within a size and a time."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.errors import RequestTimeout, TooLarge
from gateway.http.asgi import Receive


class Disconnected(Exception):
    """The caller went away before its request was complete."""


class Bodies:
    """Reads bodies. One timer watches all of them: a timer for each would cost more than reading one does."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Receive, max_bytes: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it turns out longer than `max_bytes`; no more than one chunk over is read.
            RequestTimeout: it did not arrive in time.
            Disconnected: the caller went away.
        """
        task = asyncio.current_task()
        assert task is not None  # an ASGI app always runs in one
        self._watch(task)
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                if len(body) > max_bytes:
                    raise _too_large(len(body), max_bytes)
                return body
            return await _rest(receive, message, max_bytes)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            _uncancel(task)
            raise RequestTimeout(f"body: expected within {self._timeout_s:g} s, found only a part of it") from None
        finally:
            self._reading.pop(task, None)
            self._late.discard(task)

    def _watch(self, task: asyncio.Task[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._reading[task] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s / 4, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for task in [task for task, deadline in self._reading.items() if deadline <= now and task not in self._late]:
            self._late.add(task)
            task.cancel()
        if self._reading:
            self._timer = loop.call_later(self._timeout_s / 4, self._sweep, loop)


async def _rest(receive: Receive, message: Any, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(size, max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


def _too_large(found: int, limit: int) -> TooLarge:
    return TooLarge(f"body: expected at most {limit} bytes, found {found} or more")


def _uncancel(task: asyncio.Task[Any]) -> None:
    if hasattr(task, "uncancel"):  # from Python 3.11 on
        task.uncancel()
