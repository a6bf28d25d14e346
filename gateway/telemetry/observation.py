"""One answered request, as the hot path hands it to the side path: references only, no work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.verdict import Judged
from models.batch import Array, InputSpec

Explain = Callable[[Array], str]  # one row, without its batch axis; "" where the stage has nothing to say


@dataclass(frozen=True, slots=True)
class StageInfo:
    """What a trace says of a stage that never changes: its name and its thresholds in units of its own score.

    A row whose score reaches `reject_score` is rejected on this evidence alone; likewise `flag_score`.
    """

    name: str
    flag_score: float
    reject_score: float
    shadow: bool = False
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """What a trace says of a chain that never changes while it is loaded. `version` is the bundle's digest."""

    endpoint: str
    version: str
    mode: str
    flag_cut: float
    reject_cut: float
    stages: tuple[StageInfo, ...]
    backend_kind: str = ""
    input: InputSpec | None = None  # layout and bounds, for whoever draws a kept row
    explain: Mapping[str, Explain] = field(default_factory=dict, compare=False)  # stages that can say it in words


@dataclass(slots=True)  # not frozen, which takes three times as long to make: one is made for every request
class Observation:
    """One request with a verdict, and how it was answered. Times are `time.time_ns()`.

    `judged` is None where an enforcing stage failed (503); `error` then says why. `traceparent` is the caller's
    header as it came: recorded and linked, never obeyed.
    """

    id: str
    chain: ChainInfo
    started_ns: int
    ended_ns: int
    principal: str
    route: str
    status: int
    judged: Judged | None
    error: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    user_agent: str | None = None
    body_bytes: int = 0


class Recorder(Protocol):
    """The side path's door."""

    def offer(self, observation: Observation) -> bool:
        """Takes the observation without blocking; False when the lane it belongs to is full."""
        ...

    def has_room(self, principal: str) -> bool:
        """Whether a flagged or rejected verdict could be taken now; asked before an enforcing endpoint answers."""
        ...
