"""Marks on principals and how much each asked, shared by all hosts: a `PrincipalStore` in a Redis server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.state.principals import scripts
from gateway.state.principals.measures import MINUTES, Asking, Measure
from gateway.state.principals.store import Mark
from gateway.state.redislink import RedisLink, link

_MOST = 10_000  # principals whose numbers, and marks, are kept
_TOLD_S = 60  # how long rows that workers tell each other are kept
_MOST_TOLD = 20_000  # pieces of them
_SENDER_MS = 7 * 86_400_000  # how long a worker's last sequence is kept
_MEASURED_MS = 30 * 86_400_000  # how long it is kept how a principal's queries are spread
_MEASURED = 200  # principals that are measured or read at once
_SUMS = ("bundle", "recent", "last", "rows", "looked", "near")
_READ = 1000  # pieces that are read at once
_SEQ = 2**20  # a stream's id as one number: milliseconds and what is counted within one


class RedisPrincipals:
    """A `PrincipalStore`. Times are exact to a microsecond."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        facts, alike, until, queries, last, changes, told = (
            link.name("principals", part) for part in ("facts", "alike", "until", "queries", "asked", "changes", "told")
        )
        self._marks = [link.name("clock"), facts, alike, until]
        self._queries, self._last, self._changes, self._told = queries, last, changes, told
        self._read = 0
        self._measured = link.name("principals", "measured")

    @staticmethod
    def open(url: str, prefix: str = "watchgate", cluster: bool = False) -> RedisPrincipals:
        """Nothing is sent before something is asked."""
        return RedisPrincipals(link(url, prefix, cluster))

    def add(
        self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int, sent: tuple[str, int] | None = None
    ) -> None:
        """See `PrincipalStore`."""
        sender, sequence = sent or ("", "")
        keys = [*self._marks, self._queries, self._last, self._changes, self._link.name("sender", sender)]
        args: list[str | int | bytes] = [now_ns // 1000, _MOST, sequence, _SENDER_MS, len(marks)]
        for mark in marks.values():
            facts = msgspec.json.encode((mark.endpoint, mark.reason, mark.since_ns))
            args += [mark.principal, facts, mark.alike, mark.until_ns // 1000]
        args += [part for each in queries.items() for part in each]
        self._link.run(scripts.ADD, keys, args)

    def marks(self, now_ns: int) -> dict[str, Mark]:
        """See `PrincipalStore`."""
        flat = self._link.run(scripts.MARKS, self._marks, [now_ns // 1000])
        found = {}
        for name, facts, alike, until_us in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True):
            endpoint, reason, since_ns = msgspec.json.decode(facts, type=tuple[str, str, int])
            mark = Mark(name.decode(), endpoint, reason, int(alike), since_ns, int(float(until_us)) * 1000)
            found[mark.principal] = mark
        return found

    def queries(self) -> dict[str, int]:
        """See `PrincipalStore`."""
        last = self._link.run(scripts.ASKED, [self._marks[0], self._last], [])
        names = sorted(zip(last[::2], last[1::2], strict=True), key=lambda each: (-float(each[1]), each[0]))
        if not names:
            return {}
        counts = self._link.ask("HMGET", self._queries, *(name for name, _ in names))
        return {name.decode(): int(count or 0) for (name, _), count in zip(names, counts, strict=True)}

    def measure(self, endpoint: str, bundle: str, cells: int, asking: Mapping[str, Asking], now_ns: int) -> None:
        """See `PrincipalStore`."""
        shared = [bundle, now_ns // 1000, int(MINUTES * 60e6), _MEASURED_MS, _MOST, cells]
        names = list(asking)
        for start in range(0, len(names), _MEASURED):
            keys, args = [self._marks[0], self._measured], [*shared]
            for name in names[start : start + _MEASURED]:
                whose, asked = msgspec.json.encode((endpoint, name)).decode(), asking[name]
                keys += self._measure_keys(whose)
                args += [whose, asked.rows, asked.looked, asked.near, len(asked.cells), *sorted(asked.cells)]
            self._link.run(scripts.MEASURE, keys, args)

    def measures(self) -> list[Measure]:
        """See `PrincipalStore`."""
        found = []
        known = [whose.decode() for whose in self._link.run(scripts.ASKED, [self._marks[0], self._measured], [])[::2]]
        for start in range(0, len(known), _MEASURED):
            some = known[start : start + _MEASURED]
            keys = [key for whose in some for key in self._measure_keys(whose)]
            flat, width = self._link.run(scripts.MEASURES, [self._marks[0], *keys], _SUMS), len(_SUMS) + 1
            parts = (flat[at : at + width] for at in range(0, len(flat), width))
            found += [_measure(whose, *part) for whose, part in zip(some, parts, strict=True) if part[0] is not None]
        return sorted(found, key=lambda each: (-each.last_ns, each.endpoint, each.principal))

    def _measure_keys(self, whose: str) -> tuple[str, str]:
        return self._link.name("principals", "sums", whose), self._link.name("principals", "cells", whose)

    def share(self, worker: str, asked: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        """See `PrincipalStore`; the time is the server's."""
        flat = [part for each in asked for part in each]
        self._link.run(scripts.SHARE, [self._marks[0], self._told], [worker, _TOLD_S, _MOST_TOLD, *flat])

    def shared(self, worker: str, after: int) -> list[tuple[int, str, bytes]]:
        """See `PrincipalStore`."""
        found = []
        if not self._read:
            self._read = (int(self._link.ask("TIME")[0]) - _TOLD_S) * 1000 * _SEQ
        self._read = max(self._read, after)  # further than the last of another worker's: own ones are passed over
        while True:
            start = f"({self._read // _SEQ}-{self._read % _SEQ}"
            pieces = self._link.run(scripts.TOLD, [self._marks[0], self._told], [start, _READ])
            for id_, flat in pieces:
                number, fields = _number(id_), dict(zip(flat[::2], flat[1::2], strict=True))
                if fields[b"w"].decode() != worker:
                    found.append((number, fields[b"e"].decode(), fields[b"a"]))
                self._read = number
            if len(pieces) < _READ:
                return found

    def lift(self, principal: str) -> bool:
        """See `PrincipalStore`."""
        return bool(self._link.run(scripts.LIFT, [*self._marks, self._changes], [principal]))

    @property
    def changes(self) -> int:
        """See `PrincipalStore`."""
        return int(self._link.ask("GET", self._changes) or 0)

    def secret(self, ours: bytes) -> bytes:
        """The deployment's secret: `ours`, unless another host was first.

        Raises:
            StoreError: try again later.
        """
        name = self._link.name("principals", "secret")
        self._link.ask("SET", name, ours, "NX")
        found: bytes = self._link.ask("GET", name)
        return found

    def close(self) -> None:
        """Nothing: the process's link stays open."""


def _number(id_: bytes) -> int:
    ms, _, seq = id_.decode().partition("-")
    return int(ms) * _SEQ + int(seq)


def _measure(
    whose: str, bundle: bytes, recent: bytes, last: bytes, rows: bytes, looked: bytes, near: bytes, cells: bytes | None
) -> Measure:
    endpoint, name = msgspec.json.decode(whose, type=tuple[str, str])
    bits = bytes(int(f"{byte:08b}"[::-1], 2) for byte in cells or b"")
    counts = (int(rows), int(looked), int(near))
    return Measure(endpoint, name, bundle.decode(), *counts, float(recent), bits, int(last) * 1000)
