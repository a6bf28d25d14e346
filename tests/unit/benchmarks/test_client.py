from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.serving.client import Order, Tally, complete, drive, percentile, summary

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REFUSED = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [OK, REFUSED, CHUNKED])
def test_an_answer_is_complete_with_its_last_byte(answer: bytes) -> None:
    assert complete(answer)
    assert not any(complete(answer[:end]) for end in range(len(answer)))


def test_an_answer_without_a_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="length"):
        complete(b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n")


def test_percentiles_are_nearest_ranks() -> None:
    values = list(range(100, 0, -1))
    assert [percentile(values, p) for p in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7], 99) == 7


def test_the_numbers_of_a_burst() -> None:
    tally = Tally(until_ns=100, max_requests=1000)
    assert all(tally.add(b"200", 2_000_000, now_ns=now) for now in range(9))
    assert not tally.add(b"403", 4_000_000, now_ns=100)
    burst = summary(tally, wall_s=2.0, server_cpu_s=0.01, client_cpu_s=0.0)
    assert burst.statuses == {"200": 9, "403": 1}
    assert (burst.p50_ms, burst.p99_ms) == (2.0, 4.0)
    assert (burst.per_second, burst.cpu_us) == (5.0, 1000.0)


def test_sending_stops_at_the_count() -> None:
    tally = Tally(until_ns=10**18, max_requests=2)
    assert [tally.add(b"200", 1, now_ns=0) for _ in range(2)] == [True, False]


@asynccontextmanager
async def served(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """The port of a server whose connections have all ended before the block is left."""
    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.append(task)
        with suppress(ConnectionError):
            await answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*handlers)


async def test_every_request_sent_is_counted(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"ping")
    answered = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        while await reader.read(4):
            answered += 1
            writer.write(OK[:30])
            await asyncio.sleep(0)
            writer.write(OK[30:])

    async with served(answer) as port:
        burst = await drive(Order(port, 3, 0.01, 0.05, str(tmp_path), (os.getpid(),)))
    assert burst.statuses == {"200": burst.answers}
    assert 0 < burst.answers < answered  # the warm-up is not counted
    assert 0.05 <= burst.wall_s < 1.0


async def test_a_server_that_hangs_up_fails_the_burst(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"ping")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)

    async with served(hang_up) as port:
        with pytest.raises(ConnectionError):
            await drive(Order(port, 1, 0.01, 0.05, str(tmp_path), ()))
