"""The load client: keep-alive connections, each with one request on its way at a time. Runs as its own process.

Reads one JSON `Order` from standard input and prints one JSON `Burst`. It sends bytes made beforehand and reads no
more of an answer than its status and length, so that it takes a fraction of what any of the servers takes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import psutil
import uvloop

GRACE_S = 10.0  # for what is on its way when the time is up


@dataclass(frozen=True)
class Order:
    """What to do: `requests` is a folder of files to send in turn, `pids` the processes whose CPU time is read."""

    port: int
    connections: int
    warm_s: float
    measure_s: float
    requests: str
    pids: tuple[int, ...]
    max_requests: int = 1_000_000


@dataclass(frozen=True)
class Burst:
    """What was measured: answers in `wall_s`, by status, their latencies, and the servers' CPU time."""

    answers: int
    wall_s: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    server_cpu_s: float
    client_cpu_s: float

    @property
    def per_second(self) -> float:
        """Throughput."""
        return self.answers / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Server CPU time for one answer, in microseconds."""
        return self.server_cpu_s / self.answers * 1e6


class Tally:
    """Answers counted so far, shared by all connections; sending stops at `until_ns` or when enough are in."""

    def __init__(self, until_ns: int, max_requests: int) -> None:
        self.until_ns = until_ns
        self.max_requests = max_requests
        self.latencies_ns: list[int] = []
        self.statuses: Counter[bytes] = Counter()

    def add(self, status: bytes, latency_ns: int, now_ns: int) -> bool:
        """Counts one answer; whether another request may be sent."""
        self.statuses[status] += 1
        self.latencies_ns.append(latency_ns)
        return now_ns < self.until_ns and len(self.latencies_ns) < self.max_requests


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: list[bytes], first: int) -> None:
        self.requests = requests
        self.next = first
        self.buffer = b""
        self.idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tally: Tally

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def start(self, tally: Tally) -> asyncio.Future[None]:
        """Begins to send; the future is done when the tally has had enough and the last answer is in."""
        self.tally = tally
        self.idle = asyncio.get_running_loop().create_future()
        self.send()
        return self.idle

    def send(self) -> None:
        self.sent_ns = time.perf_counter_ns()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not complete(self.buffer):
            return
        now = time.perf_counter_ns()
        status, self.buffer = self.buffer[9:12], b""
        if self.tally.add(status, now - self.sent_ns, now):
            self.send()
        elif not self.idle.done():
            self.idle.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.idle.done():
            self.idle.set_exception(exc or ConnectionError("the server closed a keep-alive connection"))


def complete(buffer: bytes) -> bool:
    """Whether the buffer holds one whole HTTP/1.1 answer, by its length or its last chunk."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return False
    headers = buffer[:head].lower()
    at = headers.find(b"\r\ncontent-length:")
    if at >= 0:
        end = headers.find(b"\r\n", at + 2)
        length = int(headers[at + 17 : end if end > 0 else head])
        return len(buffer) >= head + 4 + length
    if b"\r\ntransfer-encoding: chunked" in headers:
        return buffer.endswith(b"0\r\n\r\n")
    raise ValueError("the answer says nothing of its length")


async def drive(order: Order) -> Burst:
    """Opens the connections, warms up, measures.

    Raises:
        ConnectionError: the server hung up.
        TimeoutError: answers were still missing after the grace period.
    """
    requests = [path.read_bytes() for path in sorted(Path(order.requests).iterdir())]
    loop = asyncio.get_running_loop()
    connections = []
    for index in range(order.connections):
        make = partial(Connection, requests, index * len(requests) // order.connections)
        _, connection = await loop.create_connection(make, "127.0.0.1", order.port)
        connections.append(connection)
    await _run(connections, order.warm_s, order.max_requests)
    servers = [psutil.Process(pid) for pid in order.pids]
    cpu, own, started = _cpu_s(servers), time.process_time(), time.perf_counter()
    tally = await _run(connections, order.measure_s, order.max_requests)
    wall = time.perf_counter() - started
    own, cpu = time.process_time() - own, _cpu_s(servers) - cpu
    for connection in connections:
        connection.transport.abort()
    return summary(tally, wall, cpu, own)


def summary(tally: Tally, wall_s: float, server_cpu_s: float, client_cpu_s: float) -> Burst:
    """The numbers of one burst."""
    p50, p99 = percentile(tally.latencies_ns, 50) / 1e6, percentile(tally.latencies_ns, 99) / 1e6
    statuses = {status.decode(): count for status, count in sorted(tally.statuses.items())}
    answers = len(tally.latencies_ns)
    return Burst(answers, wall_s, statuses, p50, p99, server_cpu_s, client_cpu_s)


def percentile(values: list[int], percent: int) -> int:
    """The nearest-rank percentile; needs at least one value. (numpy would take longer to import than this takes.)"""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


async def _run(connections: list[Connection], seconds: float, max_requests: int) -> Tally:
    tally = Tally(time.perf_counter_ns() + int(seconds * 1e9), max_requests)
    waits = [connection.start(tally) for connection in connections]
    await asyncio.wait_for(asyncio.gather(*waits), seconds + GRACE_S)
    return tally


def _cpu_s(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(t.user + t.system for t in times))


def main() -> None:
    """One order in, one burst out."""
    order = Order(**json.load(sys.stdin))
    gc.disable()
    burst = uvloop.run(drive(order))
    json.dump(asdict(burst), sys.stdout)


if __name__ == "__main__":
    main()
