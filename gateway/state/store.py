"""What a place for state must offer. One implementation serves all workers of a gateway at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.state.record import Entry, Trace, Word
from models.batch import Array


class StoreError(Exception):
    """The store can't be used right now: locked, full, gone. Trying again later may work."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much is kept. `principal_share` of the requests and bytes is the most that one principal may fill."""

    max_requests: int = 100_000
    max_bytes: int = 2**30
    max_age_s: float = 30 * 86_400.0
    principal_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Filter:
    """Which traces to find; an empty field leaves all in. Times are `time.time_ns()`, `until_ns` not included.

    `label` is the class the model saw in the most suspicious row, `digest` the whole sha256 of the input, `begins` the
    beginning of an id or of a caller's trace id.
    """

    since_ns: int | None = None
    until_ns: int | None = None
    endpoint: str | None = None
    verdicts: tuple[Word, ...] = ()
    stage: str | None = None
    principal: str | None = None
    label: int | None = None
    digest: str | None = None
    begins: str | None = None


DEFAULT_QUOTA = Quota()
EVERYTHING = Filter()


class StateStore(Protocol):
    """Verdict records and the rows they were about. An instance belongs to the thread that opened it."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Keeps the entries, all or none, and evicts what is over quota. An id already kept is passed over.

        Raises:
            StoreError: try again later.
        """
        ...

    def describe_chain(self, endpoint: str, version: str, facts: Mapping[str, Any]) -> None:
        """Keeps what pages need to know of a chain (its stages, its input's layout and bounds)."""
        ...

    def tidy(self) -> None:
        """Evicts what is too old, a bounded amount a call."""
        ...

    def find(self, wanted: Filter = EVERYTHING, limit: int = 50, after: str | None = None) -> list[Trace]:
        """Matching traces, newest first; `after` is the id of the last one already seen.

        Raises:
            LookupError: no trace has the id `after`.
        """
        ...

    def walk(self, wanted: Filter = EVERYTHING) -> Iterator[Trace]:
        """All matching traces, newest first, as they are at the first step."""
        ...

    def get(self, prefix: str) -> Trace:
        """The one trace whose id starts so.

        Raises:
            LookupError: none does, or several do; the text says which.
        """
        ...

    def arrays(self, trace_id: str) -> dict[str, Array]:
        """The payload by role: `input` and `purified`, their rows those of `Record.captured`; {} where none is kept."""
        ...

    def chain(self, endpoint: str, version: str) -> dict[str, Any] | None:
        """What `describe_chain` kept."""
        ...

    def close(self) -> None:
        """Lets go of files and connections."""
        ...
