"""Takes true labels: finds what was answered, counts each row once, and leaves the sums for the flusher."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from detectors.drift.encoder import Rows
from gateway.errors import Unavailable
from gateway.state.reopening import Reopening
from gateway.state.shared.store import SharedStore
from gateway.state.store import StoreError
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.feedback.accuracy import Labelled, points_key
from gateway.tracking.feedback.answers import ALLOWED, SURE, UNANSWERED, Answer, answers_key, hashed
from gateway.wire.feedback import Counted, Label

logger = logging.getLogger("watchgate.drift")

MOST_WAITING = 16  # requests; the next is answered 503
POINT_S = 3600  # answers of an hour make one point of the accuracy over time


class FeedbackDesk:
    """`labelled` by endpoint. One thread looks answers up, one request after the other."""

    def __init__(
        self, labelled: Mapping[str, Labelled], pending: PendingSums, open_store: Callable[[], SharedStore]
    ) -> None:
        self._labelled = labelled
        self._pending = pending
        self._store = Reopening(open_store)
        self._waiting = 0
        self._counts: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, "watchgate-feedback")

    async def take(self, endpoint: str, principal: str | None, labels: Sequence[Label]) -> Counted:
        """Counts labels of rows that the principal asked (None: the operator, of anybody's).

        Raises:
            Unavailable: the store is out of reach, or too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too much feedback waits")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self.count, endpoint, principal, labels)
        except StoreError as exc:
            logger.warning("feedback can't be counted now: %s", exc)
            raise Unavailable("feedback can't be counted now") from exc
        finally:
            self._waiting -= 1

    def count(self, endpoint: str, principal: str | None, labels: Sequence[Label]) -> Counted:
        """The same, in the desk's own thread.

        Raises:
            StoreError: the store is out of reach.
        """
        try:
            store = self._store.get()
            known = self._known(store, endpoint, principal, labels)
            found = [each for each in labels if _answered(known.get(each.id), each.row)]
            new = store.claim(answers_key(endpoint), [(each.id, each.row) for each in found])
            seconds = [(each, known[each.id]) for each, first in zip(found, new, strict=True) if first]
            now = store.now()
        except StoreError:
            self.close()
            raise
        if seconds:
            self._add(self._labelled[endpoint], seconds, now)
        counted = Counted(len(seconds), len(found) - len(seconds), len(labels) - len(found))
        self._counts.update(msgspec.structs.asdict(counted))
        return counted

    def stats(self) -> dict[str, int]:
        """Labels since the start, in this process."""
        return {f"feedback_{name}": self._counts[name] for name in ("counted", "repeated", "unknown")}

    def close(self) -> None:
        """Lets go of the store; the next labels open it anew."""
        self._store.close()

    def stop(self) -> None:
        """Counts what was taken, and takes no more."""
        self._thread.submit(self.close)
        self._thread.shutdown()

    def _known(
        self, store: SharedStore, endpoint: str, principal: str | None, labels: Sequence[Label]
    ) -> dict[str, Answer]:
        """The answers by id; those to others are not told from none."""
        ids = list(dict.fromkeys(each.id for each in labels if "#" not in each.id))
        found = store.logged(answers_key(endpoint), ids)
        answers = {id_: msgspec.msgpack.decode(packed, type=Answer) for id_, packed in found.items()}
        mine = None if principal is None else hashed(principal)
        return {id_: each for id_, each in answers.items() if mine is None or each.principal == mine}

    def _add(self, labelled: Labelled, new: Sequence[tuple[Label, Answer]], now: float) -> None:
        allowed: list[tuple[float, float]] = []
        for label, answer in new:
            right = int(np.frombuffer(answer.classes, "<u2")[label.row]) == label.label
            vector = np.array([1, int(right), answer.confidences[label.row]], dtype=np.int64)
            self._pending.add(points_key(labelled.endpoint, answer.bundle), answer.at_s // POINT_S * POINT_S, vector)
            if answer.fates[label.row] == ALLOWED and answer.bundle == labelled.bundle:
                allowed.append((float(not right), float(label.label)))
        if allowed and labelled.watched is not None:
            watched = labelled.watched
            sums = watched.monitor.encoder.sums(Rows(np.array(allowed), None))
            self._pending.add(watched.key, watched.bucket(now), sums.vector())


def _answered(answer: Answer | None, row: int) -> bool:
    return answer is not None and row < len(answer.fates) and answer.fates[row] != UNANSWERED


def confidence(total: int, labels: int) -> float | None:
    """The mean confidence of so many rows."""
    return total / labels / SURE if labels else None
