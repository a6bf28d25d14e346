"""Marks on principals and how much each asked: what a place for them must offer.

`principals.db` serves the workers of a host, Redis several hosts. Marks add up: every worker adds the like queries that
it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.state.principals.measures import Asking, Measure


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a principal is marked: the first reason, and how many like queries there were. Times as `time.time_ns()`."""

    principal: str
    endpoint: str
    reason: str
    alike: int
    since_ns: int
    until_ns: int


class PrincipalStore(Protocol):
    """An open connection; belongs to the thread that opened it. Everything raises `StoreError`: try again later."""

    def add(
        self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int, sent: tuple[str, int] | None = None
    ) -> None:
        """Adds like queries to marks (a mark that has ended begins anew) and queries to principals' numbers.

        `sent` is who sends and a number that goes up: what was taken before isn't added again.
        """
        ...

    def marks(self, now_ns: int) -> dict[str, Mark]:
        """The marks that hold now."""
        ...

    def queries(self) -> dict[str, int]:
        """How many rows each principal asked, the latest first."""
        ...

    def measure(self, endpoint: str, bundle: str, cells: int, asking: Mapping[str, Asking], now_ns: int) -> None:
        """Adds to what is known of how principals' queries are spread over so many cells; of another bundle's
        nothing is kept."""
        ...

    def measures(self) -> list[Measure]:
        """How principals' queries are spread, the latest to ask first."""
        ...

    def share(self, worker: str, asked: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        """Tells the other workers what was asked: endpoint and packed rows."""
        ...

    def shared(self, worker: str, after: int) -> list[tuple[int, str, bytes]]:
        """Number, endpoint and packed rows that other workers told after the number `after`."""
        ...

    def lift(self, principal: str) -> bool:
        """Takes the mark off; whether there was one."""
        ...

    @property
    def changes(self) -> int:
        """A number that changes when another connection has written."""
        ...

    def close(self) -> None:
        """Lets go of the connection."""
        ...
