"""What the product promises of its speed, as ratios within one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.serving.client import Burst
from benchmarks.serving.rounds import CONNECTIONS, Measured
from benchmarks.statistics import Summary


@dataclass(frozen=True)
class Promise:
    """`system` over `against` on one network, at most or at least `limit`."""

    net: str
    system: str
    against: str
    quantity: Literal["CPU a request", "throughput"]
    bound: Literal["at most", "at least"]
    limit: float

    @property
    def text(self) -> str:
        """As a sentence."""
        return f"{self.net}: {self.quantity} of {self.system} / {self.against} {self.bound} {self.limit:g}"

    def kept(self, ratio: float) -> bool:
        """Whether a ratio keeps it."""
        return ratio <= self.limit if self.bound == "at most" else ratio >= self.limit


@dataclass(frozen=True)
class Check:
    """A promise at one number of connections; `ratio` is None where a system was skipped."""

    promise: Promise
    connections: int
    ratio: Summary | None

    @property
    def outcome(self) -> str:
        """pass, fail or skipped; the median over rounds decides."""
        if self.ratio is None:
            return "skipped"
        return "pass" if self.promise.kept(self.ratio.median) else "fail"


PROMISES = (
    Promise("tiny", "empty", "bare", "CPU a request", "at most", 1.7),
    Promise("medium", "cheap", "empty", "throughput", "at least", 0.85),
    Promise("medium", "suspicious", "empty", "throughput", "at least", 0.75),
    Promise("tiny", "cheap", "mlserver", "throughput", "at least", 2.5),
)

QUANTITIES: dict[str, Callable[[Burst], float]] = {
    "CPU a request": lambda burst: burst.cpu_us,
    "throughput": lambda burst: burst.per_second,
}


def checks(measured: Measured) -> list[Check]:
    """Every promise about this network, at every number of connections."""
    return [
        Check(promise, connections, _ratio(measured, promise, connections))
        for promise in PROMISES
        if promise.net == measured.net
        for connections in CONNECTIONS
    ]


def _ratio(measured: Measured, promise: Promise, connections: int) -> Summary | None:
    above = measured.bursts.get((promise.system, connections))
    below = measured.bursts.get((promise.against, connections))
    if not above or not below:
        return None
    value = QUANTITIES[promise.quantity]
    return Summary.of_ratios([value(burst) for burst in above], [value(burst) for burst in below])
