"""The watcher that keeps a sample of the rows that come: what `calibrate --from-traffic` sets cuts on."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import msgspec
import numpy as np

from gateway.state.payload import pack, unpack
from gateway.state.store import StoreError
from gateway.state.traffic import ALL, Kept, TrafficFile
from gateway.tracking.rate import Rate
from gateway.tracking.seen import Seen
from models.batch import Array, Batch

logger = logging.getLogger("watchgate.tracking")

FLUSH_S = 2.0
ROWS_PER_SECOND = 500.0  # that are written at most: while the sample fills, every row would be
X = "x"


class TrafficWatcher:
    """A `Watcher`. Of each endpoint at most `most` rows are kept, `share` of them of one principal."""

    def __init__(
        self,
        endpoints: Collection[str],
        most: int,
        share: float,
        keep_s: float,
        open_file: Callable[[], TrafficFile],
        seed: int | None = None,
    ) -> None:
        self.endpoints = frozenset(endpoints)
        self._most = most
        self._share = share
        self._keep_ns = int(keep_s * 1e9)
        self._open_file = open_file
        self._file: TrafficFile | None = None
        self._rng = np.random.default_rng(seed)
        self._limits = dict.fromkeys(endpoints, ALL)
        self._rates = {name: Rate(ROWS_PER_SECOND) for name in endpoints}
        self._waiting: dict[str, list[Kept]] = {name: [] for name in endpoints}
        self._flushed = 0.0
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """Nothing has to be done."""

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        for each in seen:
            priorities = self._rng.integers(0, ALL, size=len(each))
            chosen = np.flatnonzero(priorities < self._limits[each.endpoint])
            if len(chosen):
                granted = self._rates[each.endpoint].take(len(chosen), time.monotonic())
                self._counts["lost"] += len(chosen) - granted
                self._keep(each, chosen[:granted], priorities)

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        if now - self._flushed >= FLUSH_S:
            self._flushed = now
            self._flush()
        return False

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        self._flush()
        self._let_go()

    def stats(self) -> Mapping[str, int]:
        """See `Watcher`."""
        return {f"traffic_{name}_rows": self._counts[name] for name in ("kept", "lost")}

    def _keep(self, seen: Seen, chosen: Array, priorities: Array) -> None:
        batch, now = seen.judged.batch, time.time_ns()
        if len(batch.x) != len(priorities):
            return
        rows = self._waiting[seen.endpoint]
        for row in chosen.tolist():
            packed = packed_row(batch, row)
            rows.append(Kept(int(priorities[row]), seen.principal, seen.id, now, packed))

    def _flush(self) -> None:
        try:
            for endpoint, rows in self._waiting.items():
                if not rows and self._file is not None:
                    continue
                if self._file is None:
                    self._file = self._open_file()
                oldest = time.time_ns() - self._keep_ns
                self._limits[endpoint] = self._file.add(endpoint, rows, self._most, self._share, oldest)
                self._counts["kept"] += len(rows)
                self._waiting[endpoint] = []
        except StoreError as exc:
            logger.warning("rows of production can't be kept now: %s", exc)
            for endpoint, rows in self._waiting.items():
                self._counts["lost"] += len(rows)
                self._waiting[endpoint] = []
            self._let_go()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(Exception):
                file.close()


def packed_row(batch: Batch, row: int) -> bytes:
    """One row's arrays as bytes; text is kept as text."""
    arrays = {X: batch.x[row], **{name: _plain(array[row : row + 1]) for name, array in batch.extras.items()}}
    return msgspec.msgpack.encode({name: pack(np.asarray(array)).data for name, array in arrays.items()})


def unpacked_row(packed: bytes) -> dict[str, Array]:
    """What `packed_row` took: `x` without its batch axis, all others with one."""
    found = msgspec.msgpack.decode(packed, type=dict[str, bytes])
    return {name: unpack(data) for name, data in found.items()}


def _plain(array: Array) -> Array:
    return array.astype(str) if array.dtype == object else array
