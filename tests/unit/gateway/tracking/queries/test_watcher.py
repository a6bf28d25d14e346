"""What the watcher of queries brings to a store that fails, and what hosts agree on."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from detectors.queries.likeness import Likeness
from detectors.queries.memory import Bounds, QueryMemory
from gateway.state.principals.redis import RedisPrincipals
from gateway.state.principals.store import Mark
from gateway.state.redislink import RedisLink
from gateway.state.store import StoreError
from gateway.tracking.queries.config import QueriesConfig
from gateway.tracking.queries.secret import FILE, agreed, secret
from gateway.tracking.queries.watcher import FLUSH_S, QueryWatcher
from gateway.tracking.seen import Seen
from gateway.verdict import Judged, Verdicts
from models.batch import Batch, InputSpec
from tests.redisserver import needs_redis, running

SPEC = InputSpec("table", np.dtype("float32"), (4,))


class Losing(RedisPrincipals):
    """The first answers are lost: what was asked is done, and nobody told."""

    left = 0

    def add(
        self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int, sent: tuple[str, int] | None = None
    ) -> None:
        super().add(marks, queries, now_ns, sent)
        if self.left:
            self.left -= 1
            raise StoreError("the answer was lost")


def asked(n: int, spread: float, seed: int) -> Seen:
    rng = np.random.default_rng(seed)
    x = (np.full(4, 0.5) + spread * rng.normal(size=(n, 4))).astype(np.float32)
    verdicts = Verdicts(np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.ones(n), np.ones(n), np.full(n, -1), ())
    return Seen("m", "a", "id", Judged(Batch(x), verdicts, None))


@needs_redis
def test_what_is_sent_again_after_a_lost_answer_counts_once(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        link = RedisLink(server.url, "watchgate")
        store = Losing(link)
        likeness = Likeness.fit(np.random.default_rng(0).random((1000, 4)).astype(np.float32), SPEC)
        memory = QueryMemory(likeness, b"s" * 32, Bounds(64, 64, 3600.0, 2**20, 3), pooled=True, hashed=False)
        watcher = QueryWatcher({"m": memory}, {"m": QueriesConfig()}, lambda: store)
        watcher.start()
        store.left = 3
        for seed in range(6):
            watcher.take([asked(5, 0.001, seed)])
            watcher.turn(time.monotonic())
        while store.left:
            watcher.turn(time.monotonic())
        assert watcher.stats()["store_failures"] == 3
        time.sleep(FLUSH_S)
        watcher.turn(time.monotonic())
        alike = watcher.stats()["alike_rows"]
        assert alike > 0
        assert store.queries() == {"a": 30}
        mark = store.marks(time.time_ns())["a"]
        assert mark.alike == alike
        watcher.close(time.monotonic() + 1.0)
        assert watcher.marks.current["a"].alike == alike


@needs_redis
def test_hosts_agree_on_the_first_ones_secret(tmp_path: Path) -> None:
    with running(tmp_path / "redis") as server:
        prefix = uuid.uuid4().hex
        folders = [tmp_path / name for name in ("one", "two")]
        alone = [secret(folder) for folder in folders]
        assert alone[0] != alone[1]
        told = [agreed(folder, RedisPrincipals.open(server.url, prefix)) for folder in folders]
        assert told == [alone[0]] * 2
        assert (folders[1] / FILE).read_bytes() == alone[0]
        assert (folders[1] / FILE).stat().st_mode & 0o777 == 0o600
        assert [file.name for file in folders[1].iterdir()] == [FILE]
        server.kill()
        with pytest.raises(StoreError):
            agreed(folders[1], RedisPrincipals(RedisLink(server.url, prefix)))
        assert secret(folders[1]) == alone[0]
