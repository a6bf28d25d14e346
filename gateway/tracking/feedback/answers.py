"""What the model answered, kept so that true labels find it when they come: some tens of bytes a request.

Of every row its class, how sure the model was, and what became of it; not the row, and of the principal only a hash.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from gateway.state.shared.store import SharedStore
from gateway.state.store import StoreError
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.tracking.seen import Seen
from gateway.verdict import Action
from models.batch import Array

HOLD_S = 0.2  # how long answers wait for others: many at once cost less
MOST_WAITING = 50_000  # requests that wait while the store is out of order
_AT_ONCE = 1000
SURE = 255.0  # a confidence of 1
ALLOWED, STOPPED, UNANSWERED = 0, 1, 2


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """One request. `classes` (n,) uint16, `confidences` (n,) uint8 of 255, `fates` (n,) uint8: `ALLOWED`, `STOPPED`
    (flagged, or in shadow mode it would have been), `UNANSWERED` (rejected)."""

    principal: bytes
    at_s: int
    bundle: str
    classes: bytes
    confidences: bytes
    fates: bytes


def answers_key(endpoint: str) -> str:
    """What an endpoint's answers are logged under."""
    return f"feedback/answers/{endpoint}"


def hashed(principal: str) -> bytes:
    """Enough of a principal's name to tell whether another is the same."""
    return hashlib.blake2b(principal.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class AnswerLog:
    """A `Watcher` and a `Partner`. `kept` by endpoint: the bundle's version, and the settings."""

    def __init__(self, kept: Mapping[str, tuple[str, FeedbackConfig]]) -> None:
        self._kept = kept
        self._held: dict[str, list[Seen]] = {endpoint: [] for endpoint in kept}
        self._since = 0.0
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[tuple[str, bytes]]] = {name: deque(maxlen=MOST_WAITING) for name in kept}
        self._counts: Counter[str] = Counter()

    @property
    def endpoints(self) -> Collection[str]:
        """See `Watcher`."""
        return self._kept.keys()

    def start(self) -> None:
        """Nothing has to be done."""

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        for each in seen:
            self._held[each.endpoint].append(each)

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        if now - self._since >= HOLD_S:
            self._since = now
            for endpoint, held in self._held.items():
                if held:
                    self._held[endpoint] = []
                    self._pack(endpoint, held)
        return False

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        self._since = 0.0
        self.turn(time.monotonic())

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`."""
        for endpoint, waiting in self._waiting.items():
            settings = self._kept[endpoint][1]
            while waiting:
                with self._lock:
                    some = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
                try:
                    store.log(answers_key(endpoint), some, settings.keep_hours * 3600.0, settings.most)
                except StoreError:
                    with self._lock:
                        waiting.extendleft(reversed(some))
                    raise
                self._counts["logged"] += len(some)

    def leave(self, store: SharedStore) -> None:
        """See `Partner`."""

    def stats(self) -> dict[str, int]:
        """See `Watcher`."""
        return {"answers_logged": self._counts["logged"], "answers_lost": self._counts["lost"]}

    def _pack(self, endpoint: str, held: Sequence[Seen]) -> None:
        bundle, now = self._kept[endpoint][0], int(time.time())
        answered = [(seen, seen.judged.outputs) for seen in held]
        known = [
            (seen, outputs.logits) for seen, outputs in answered if outputs is not None and outputs.logits is not None
        ]
        if not known:
            return
        classes, confidences = _said(np.concatenate([logits for _, logits in known]))
        found, start = [], 0
        for seen, logits in known:
            part = slice(start, start + len(logits))
            start = part.stop
            verdicts = seen.judged.verdicts
            fates = np.where(verdicts.actions == int(Action.REJECT), UNANSWERED, verdicts.shadowed != 0).astype(
                np.uint8
            )
            columns = classes[part].tobytes(), confidences[part].tobytes(), fates.tobytes()
            found.append((seen.id, msgspec.msgpack.encode(Answer(hashed(seen.principal), now, bundle, *columns))))
        with self._lock:
            waiting = self._waiting[endpoint]
            self._counts["lost"] += max(0, len(waiting) + len(found) - MOST_WAITING)
            waiting.extend(found)


def _said(logits: Array) -> tuple[Array, Array]:
    """Classes (n,) uint16 and confidences (n,) uint8."""
    top = logits.max(axis=1, keepdims=True)
    sure = 1.0 / np.exp(np.minimum(logits - top, 0.0)).sum(axis=1)
    return logits.argmax(axis=1).astype("<u2"), np.rint(np.nan_to_num(sure) * SURE).astype(np.uint8)
