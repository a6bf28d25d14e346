"""The measurement itself: all servers up, one under load at a time, every round in another order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException

import numpy as np

from benchmarks.serving.bodies import post
from benchmarks.serving.client import Burst, Order
from benchmarks.serving.load import ClientFailed, sent
from benchmarks.serving.process import Server, ServerFailed
from benchmarks.serving.systems import Launch, Skipped, System
from benchmarks.serving.workload import Workload

CONNECTIONS = (1, 16, 64)
HONEST_SHARE = 0.9  # of answers that must be 200: a chain that refuses honest rows would be fast for the wrong reason

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to measure. Seconds are for one burst of load."""

    rounds: int
    warm_s: float
    measure_s: float


@dataclass(frozen=True)
class Target:
    """A running system and where its requests lie."""

    system: System
    server: Server
    port: int
    requests: str
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """All bursts of one network: by system and connections, in the order of rounds. `skipped` says what is missing."""

    net: str
    row_us: float
    bursts: Mapping[tuple[str, int], Sequence[Burst]]
    skipped: Mapping[str, str]


def launches(
    work: Workload, systems: Sequence[System], quick: bool, say: Say
) -> tuple[dict[str, Launch], dict[str, str]]:
    """How each server is started, chains calibrated; and why some systems are skipped."""
    found: dict[str, Launch] = {}
    skipped: dict[str, str] = {}
    for system in systems:
        if system.server in found:
            continue
        say(f"{work.net.name}: preparing {system.name}")
        try:
            found[system.server] = system.launch(work, quick)
        except Skipped as reason:
            skipped[system.name] = str(reason)
            say(f"skipped: {system.title}: {reason}")
    return found, skipped


@contextmanager
def running(work: Workload, systems: Sequence[System], ways: Mapping[str, Launch]) -> Iterator[list[Target]]:
    """Starts every server, checks that each answers as the model does, and stops them all at the end."""
    servers: dict[str, Server] = {}
    try:
        for name, launch in ways.items():
            servers[name] = Server(launch.command, launch.env, work.folder / f"{name}.log")
        targets = []
        for system in systems:
            if system.server in servers:
                server, port = servers[system.server], ways[system.server].port
                await_answer(system, server, port, work)
                requests = work.requests(system.name, system.path, system.form)
                targets.append(Target(system, server, port, str(requests), server.pids()))
        yield targets
    finally:
        for server in servers.values():
            server.stop()


def await_answer(system: System, server: Server, port: int, work: Workload) -> None:
    """Waits until the server answers rows as onnxruntime does, within 1e-5.

    Raises:
        ServerFailed: it ended, took too long, or answers something else.
    """
    while True:
        server.check()
        try:
            answer = post(port, system.path, system.form, work.x[:1])
        except (OSError, HTTPException):
            time.sleep(0.1)
            continue
        if answer.status in (404, 503) and time.monotonic() - server.started < 30.0:
            time.sleep(0.1)  # the port is open before the model is loaded
            continue
        break
    for row in range(4):
        answer = post(port, system.path, system.form, work.x[row : row + 1])
        if answer.status == 403:
            continue  # one honest row in a hundred is refused; the load shows whether it is more
        if answer.status != 200:
            raise ServerFailed(f"{system.name} answered {answer.status} {answer.body[:300]!r}: {server.last_lines()}")
        error = float(np.abs(system.form.decode(answer) - work.logits(row)).max())
        if error > 1e-5:
            raise ServerFailed(f"{system.name} is {error:g} away from what onnxruntime answers")


def measure(
    work: Workload, systems: Sequence[System], effort: Effort, row_us: float, quick: bool, say: Say
) -> Measured:
    """Rounds of bursts over all systems and connection counts."""
    rng = np.random.default_rng(0)
    ways, skipped = launches(work, systems, quick, say)
    with running(work, systems, ways) as targets:
        cells = [(target, connections) for target in targets for connections in CONNECTIONS]
        bursts: dict[tuple[str, int], list[Burst]] = {(t.system.name, c): [] for t, c in cells}
        for target in targets:  # first calls allocate and import
            burst(target, max(CONNECTIONS), Effort(1, 0.1, effort.measure_s / 2))
        for turn in range(effort.rounds):
            for index in rng.permutation(len(cells)):
                target, connections = cells[index]
                bursts[target.system.name, connections].append(burst(target, connections, effort))
            say(f"{work.net.name}: round {turn + 1} of {effort.rounds}")
    return Measured(work.net.name, row_us, bursts, skipped)


def burst(target: Target, connections: int, effort: Effort) -> Burst:
    """One burst of load from a client process.

    Raises:
        ServerFailed: the client failed, or too few answers were 200.
    """
    order = Order(target.port, connections, effort.warm_s, effort.measure_s, target.requests, target.pids)
    name = target.system.name
    try:
        result = sent(order)
    except ClientFailed as failed:
        raise ServerFailed(f"{name} under load: {failed}\n{target.server.last_lines()}") from failed
    if result.statuses.get("200", 0) < HONEST_SHARE * result.answers:
        raise ServerFailed(f"{name} at {connections} connections answered {result.statuses}")
    return result
