"""The side path's door: takes a request's rows in well under a microsecond, or counts them as dropped."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from gateway.telemetry.observation import Observation
from gateway.tracking.seen import Seen
from gateway.verdict import Judged

MOST_ITEMS = 4096
MOST_BYTES = 2**26


@dataclass(slots=True)
class Counts:
    """Requests taken and dropped at the door."""

    taken: int = 0
    dropped: int = 0


class Intake:
    """First in, first out; one thread puts, another takes. References only: nothing is copied."""

    def __init__(self, items: int = MOST_ITEMS, nbytes: int = MOST_BYTES) -> None:
        self._items = items
        self._nbytes = nbytes
        self._queue: queue.SimpleQueue[Seen | None] = queue.SimpleQueue()
        self._put = 0  # bytes, counted by the thread that puts
        self._taken = 0  # bytes, counted by the thread that takes
        self.counts = Counts()

    def observe(self, observation: Observation) -> None:
        """Takes what a request asked; never waits."""
        judged = observation.judged
        if judged is None:
            return
        size = _nbytes(judged)
        waiting = self._queue
        if waiting.qsize() >= self._items or self._put - self._taken + size > self._nbytes:
            self.counts.dropped += 1
            return
        self._put += size
        self.counts.taken += 1
        waiting.put(Seen(observation.chain.endpoint, observation.principal, observation.id, judged))

    def wake(self) -> None:
        """Lets whoever waits in `take` go on."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> list[Seen]:
        """What waits; after `timeout_s` at the latest, maybe nothing."""
        found: list[Seen] = []
        try:
            item = self._queue.get(timeout=timeout_s)
            while True:
                if item is not None:
                    self._taken += _nbytes(item.judged)
                    found.append(item)
                if len(found) >= self._items:
                    return found
                item = self._queue.get_nowait()
        except queue.Empty:
            return found


def _nbytes(judged: Judged) -> int:
    """The rows' and their features': what is large."""
    outputs = judged.outputs
    features = None if outputs is None else outputs.features
    size: int = judged.batch.x.nbytes
    return size if features is None else size + features.nbytes
