"""What replicas on several hosts share, in a Redis server."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.state.redislink import RedisLink, link
from gateway.state.shared import bounds, scripts
from gateway.state.shared.store import Flush, Kept
from gateway.state.shared.vectors import packed, unpacked
from models.batch import Array

_HASHES = 17  # that a log is made of
_AT_ONCE = 500  # ids that are looked up at once
_KEPT_MS = int(bounds.KEPT_S * 1000)


class RedisShared:
    """A `SharedStore`. Names of all that is kept begin alike; in a cluster they are on one node."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._clock = link.name("clock")
        self._once = [self._clock, *(link.name("once", part) for part in ("values", "until", "names"))]

    @staticmethod
    def open(url: str, prefix: str = "watchgate", cluster: bool = False) -> RedisShared:
        """Nothing is sent before something is asked."""
        return RedisShared(link(url, prefix, cluster))

    def now(self) -> float:
        """The server's clock, which never goes back: see `Tick`."""
        return float(self._link.run(scripts.NOW, [self._clock], []))

    def add(self, flush: Flush) -> None:
        """See `SharedStore`."""
        keys = [self._clock, self._link.name("replica", flush.replica)]
        keep = (bounds.REPLICAS_S, bounds.SUMS_S, bounds.KEPT_S)
        args: list[bytes | int] = [flush.sequence, *(int(seconds * 1000) for seconds in keep), bounds.BUCKETS]
        for (key, bucket), sums in flush.sums.items():
            keys += [self._facts(key), self._sums(key, bucket), self._index(key)]
            keys += [self._sums(key, bucket, "late"), self._index(key, "late")]
            args += [bucket, int(sums[0]), packed(sums)]
        over = self._link.run(scripts.ADD, keys, args)
        if over:
            self._link.ask("UNLINK", *over)

    def seal(self, key: str, through: int) -> int:
        """See `SharedStore`."""
        return int(self._link.run(scripts.ADVANCE, [self._clock, self._facts(key)], ["sealed", through, _KEPT_MS]))

    def sealed(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """See `SharedStore`."""
        through = self._link.ask("HGET", self._facts(key), "sealed")
        return [] if through is None else self._read(key, "sums", after, int(through), limit)

    def late(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """See `SharedStore`."""
        return self._read(key, "late", after, "+inf", limit)

    def late_rows(self, key: str) -> int:
        """See `SharedStore`."""
        return int(self._link.ask("HGET", self._facts(key), "late_rows") or 0)

    def forget(self, key: str, before: int) -> None:
        """See `SharedStore`."""
        self._link.run(scripts.ADVANCE, [self._clock, self._facts(key)], ["forgotten", before, _KEPT_MS])
        for what in ("sums", "late"):
            buckets = self._link.ask("ZRANGEBYSCORE", self._index(key, what), "-inf", f"({before}")
            for start in range(0, len(buckets), _AT_ONCE):
                some = [int(bucket) for bucket in buckets[start : start + _AT_ONCE]]
                self._link.ask("UNLINK", *(self._sums(key, bucket, what) for bucket in some))
                self._link.ask("ZREM", self._index(key, what), *some)

    def load(self, name: str) -> Kept | None:
        """See `SharedStore`."""
        token, value = self._link.ask("HMGET", self._link.name("kept", name), "token", "value")
        return None if token is None else Kept(int(token), value)

    def swap(self, name: str, token: int, value: bytes) -> bool:
        """See `SharedStore`."""
        keys = [self._clock, self._link.name("kept", name)]
        return bool(self._link.run(scripts.SWAP, keys, [token, value, _KEPT_MS]))

    def put_once(self, name: str, value: bytes, keep_s: float) -> bool:
        """See `SharedStore`."""
        return bool(self._link.run(scripts.PUT_ONCE, self._once, [name, value, keep_s, bounds.VALUES]))

    def values(self, prefix: str, start: str = "", limit: int = 10_000) -> dict[str, bytes]:
        """See `SharedStore`."""
        found = self._link.run(scripts.VALUES, self._once, [prefix + start, prefix.encode() + b"\xff", limit])
        return dict(reversed(_paired(found).items()))

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """See `SharedStore`."""
        keys = [self._clock, self._link.name("lease", name)]
        return bool(self._link.run(scripts.LEASE, keys, [holder, seconds, int((seconds + bounds.DAY_S) * 1000)]))

    def log(self, key: str, entries: Sequence[tuple[str, bytes]], keep_s: float, most: int) -> None:
        """See `SharedStore`; about a seventeenth less is kept, of rows and time, and at least 17 rows."""
        flat = [part for entry in entries for part in entry]
        if flat:
            self._link.run(scripts.LOG, self._ring(key), [keep_s, max(1, most // _HASHES), *flat])

    def logged(self, key: str, ids: Sequence[str]) -> dict[str, bytes]:
        """See `SharedStore`."""
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), _AT_ONCE):
            found |= _paired(self._link.run(scripts.LOGGED, self._ring(key), ids[start : start + _AT_ONCE]))
        return found

    def claim(self, key: str, rows: Sequence[tuple[str, int]]) -> list[bool]:
        """See `SharedStore`; a claim goes with what it is on."""
        found: list[bool] = []
        for start in range(0, len(rows), _AT_ONCE):
            flat = [part for each in rows[start : start + _AT_ONCE] for part in each]
            found += map(bool, self._link.run(scripts.CLAIM, self._ring(key), flat))
        return found

    def close(self) -> None:
        """Nothing: the process's link stays open."""

    def _facts(self, key: str) -> str:
        return self._link.name("key", key)

    def _index(self, key: str, what: str = "sums") -> str:
        return self._link.name(what, key)

    def _sums(self, key: str, bucket: int, what: str = "sums") -> str:
        return self._link.name(what, key, "bucket", bucket)

    def _ring(self, key: str) -> list[str]:
        hashes = [self._link.name("log", key, "hash", n) for n in range(_HASHES)]
        return [self._clock, self._link.name("log", key), *hashes]

    def _read(self, key: str, what: str, after: int, through: int | str, limit: int) -> list[tuple[int, Array]]:
        index = self._index(key, what)
        buckets = [
            int(bucket) for bucket in self._link.ask("ZRANGEBYSCORE", index, f"({after}", through, "LIMIT", 0, limit)
        ]
        if not buckets:
            return []
        found = self._link.ask("MGET", *(self._sums(key, bucket, what) for bucket in buckets))
        return [(bucket, unpacked(each)) for bucket, each in zip(buckets, found, strict=True) if each is not None]


def _paired(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
