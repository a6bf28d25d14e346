"""The queries of all callers, and whether a caller's new ones are alike: its own, or with those of others."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.queries.chains import Chains
from detectors.queries.compared import Compared
from detectors.queries.likeness import Likeness
from detectors.queries.ring import Ring
from models.batch import Array

_CROWD = 8  # like queries of several callers that count as one attack
_CROWDED = 2  # such queries of a caller, after which it takes part in it
_CHUNK = 64  # rows compared at a time


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered: of each caller, of all together, of how long ago; and how many like queries count."""

    rows: int = 512
    everybody: int = 4096
    seconds: float = 86_400.0
    nbytes: int = 2**26
    similar: int = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a caller's rows were: so many new ones (resent ones don't count), so many of them alike, and how."""

    new: int = 0
    alike: int = 0
    reason: str = ""

    def __add__(self, other: Finding) -> Finding:
        return Finding(self.new + other.new, self.alike + other.alike, self.reason or other.reason)


class _Caller:
    __slots__ = ("crowded", "name", "number", "ring")

    def __init__(self, name: str, number: int, ring: Ring) -> None:
        self.name = name
        self.number = number
        self.ring = ring
        self.crowded = 0


@dataclass(frozen=True, slots=True)
class _Rows:
    """New rows, whose they are, and why each is alike to others ("" where it is not)."""

    callers: Sequence[_Caller]
    digests: Array
    numbers: Array
    reasons: list[str]

    def by_caller(self) -> Iterator[tuple[_Caller, list[int]]]:
        """Every caller, and the indices of its rows."""
        found: dict[int, tuple[_Caller, list[int]]] = {}
        for row, caller in enumerate(self.callers):
            found.setdefault(caller.number, (caller, []))[1].append(row)
        return iter(found.values())

    def crowded(self, row: int, reason: str) -> None:
        """The row is like many of others: that may happen to anybody once."""
        self.callers[row].crowded += 1
        if self.callers[row].crowded >= _CROWDED:
            self.reasons[row] = self.reasons[row] or reason


@dataclass(frozen=True, slots=True)
class Asked:
    """New rows as other memories can learn them: whose each is, digests (n,) uint64 and signatures (n, d) float32."""

    names: tuple[str, ...]
    digests: Array
    z: Array


class QueryMemory:
    """Remembers queries and compares new ones with them. `pooled` and `hashed` say which signatures are used;
    with `told`, pooled signatures are kept for `fresh`, to be learned by other memories of the same secret.

    The caller asked longest ago is forgotten first when all together take more than `bounds.nbytes`.
    """

    def __init__(
        self,
        likeness: Likeness,
        secret: bytes,
        bounds: Bounds | None = None,
        *,
        pooled: bool = True,
        hashed: bool = True,
        told: bool = False,
    ) -> None:
        self._likeness = likeness
        self._keyed = hashlib.blake2b(digest_size=8, key=hashlib.sha256(secret).digest())
        self._bounds = Bounds() if bounds is None else bounds
        self._hashes = likeness.hashes(secret) if hashed else None
        self._chains = Chains() if hashed else None
        self._pooled = pooled
        self._width = likeness.pooled.mixing.shape[1]
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._everybody = Ring(max(1, self._bounds.everybody), self._width)
        self._named = 0
        self._nbytes = 0
        self._told: list[Asked] | None = [] if told and pooled else None

    def __len__(self) -> int:
        return len(self._callers)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self._nbytes + self._everybody.nbytes + (self._chains.nbytes if self._chains is not None else 0)

    def ask(self, names: Sequence[str], x: Array, now: float) -> dict[str, Finding]:
        """Compares rows (n, *row shape), in order, with earlier ones, and remembers them; `names` say whose each is."""
        since = now - self._bounds.seconds
        self._everybody.expire(since)
        told: dict[str, Finding] = {}
        step = min(_CHUNK, self._bounds.rows)
        for start in range(0, len(x), step):
            callers = [self._caller(name) for name in names[start : start + step]]
            for name, found in self._some(callers, x[start : start + step], now, since).items():
                told[name] = found if name not in told else told[name] + found
        self._forget()
        return told

    def fresh(self) -> list[Asked]:
        """The new rows since it was last called."""
        if not self._told:
            return []
        found, self._told = self._told, []
        return found

    def learn(self, asked: Asked, now: float) -> None:
        """Remembers rows that were compared elsewhere."""
        if asked.z.shape[1:] != (self._width,):
            return
        callers = [self._caller(name) for name in asked.names]
        new = self._new(callers, asked.digests, now - self._bounds.seconds)
        numbers = np.array([caller.number for caller in callers], dtype=np.int32)
        step = min(_CHUNK, self._bounds.rows)
        for start in range(0, len(new), step):
            part = new[start : start + step]
            known = [callers[row] for row in part]
            self._remember(_Rows(known, asked.digests[part], numbers[part], []), asked.z[part], now)
            if self._bounds.everybody:
                some = np.array(part)[~self._everybody.has(asked.digests[part])]
                self._everybody.add(asked.z[some], asked.digests[some], numbers[some], now)
        self._forget()

    def forget(self, name: str) -> None:
        """Forgets a caller's own queries; those of everybody stay."""
        caller = self._callers.pop(name, None)
        if caller is not None:
            self._nbytes -= caller.ring.nbytes

    def _some(self, callers: Sequence[_Caller], x: Array, now: float, since: float) -> dict[str, Finding]:
        digests = np.array([self._digest(row) for row in x], dtype=np.uint64)
        new = self._new(callers, digests, since)
        told = {caller.name: Finding() for caller in callers}
        if not new:
            return told
        callers, x, digests = [callers[row] for row in new], x[new], digests[new]
        rows = _Rows(callers, digests, np.array([caller.number for caller in callers], dtype=np.int32), [""] * len(x))
        z = np.zeros((len(x), self._width), np.float32)
        if self._pooled:
            z = self._likeness.pooled(x)
            asked = Compared.of(z, self._likeness.units(z))
            self._others(rows, z, asked, now)
            self._own(rows, z, asked, now)
            if self._told is not None:
                self._told.append(Asked(tuple(caller.name for caller in callers), digests, z))
        else:
            self._remember(rows, z, now)
        self._hashed(rows, x, now, since)
        for caller, reason in zip(callers, rows.reasons, strict=True):
            told[caller.name] += Finding(1, int(bool(reason)), reason)
        return told

    def _new(self, callers: Sequence[_Caller], digests: Array, since: float) -> list[int]:
        """The rows that their callers had not asked before."""
        seen: set[tuple[int, int]] = set()
        new = []
        for row, caller in enumerate(callers):
            caller.ring.expire(since)
            key = caller.number, int(digests[row])
            if key not in seen and not (caller.ring.digests == digests[row]).any():
                new.append(row)
            seen.add(key)
        return new

    def _remember(self, rows: _Rows, z: Array, now: float) -> None:
        for caller, mine in rows.by_caller():
            self._nbytes -= caller.ring.nbytes
            caller.ring.add(z[mine], rows.digests[mine], caller.number, now)
            self._nbytes += caller.ring.nbytes

    def _own(self, rows: _Rows, z: Array, asked: Compared, now: float) -> None:
        self._remember(rows, z, now)
        for caller, mine in rows.by_caller():
            known, earlier = caller.ring.known, len(caller.ring) - len(mine)
            for place, row in enumerate(mine):
                total = earlier + place
                distances = known[:total] @ asked.probes[row]
                near = asked.near(row, distances, self._bounds.similar)
                if near is None:
                    continue
                ratios = asked.ratios(row, distances[near])
                found = self._likeness.alike(ratios, near, total, self._bounds.similar)
                if found is not None:
                    rows.reasons[row] = f"{found[0]} of its last {found[1]} queries are like it"

    def _others(self, rows: _Rows, z: Array, asked: Compared, now: float) -> None:
        ring = self._everybody
        if not self._bounds.everybody:
            return
        fresh = ~ring.has(rows.digests)
        if len(ring) >= _CROWD:
            some = np.flatnonzero(fresh)
            for row, distances in zip(some.tolist(), asked.probes[some] @ ring.known.T, strict=True):
                near = asked.near(row, distances, _CROWD)
                if near is None:
                    continue
                near = near[ring.owners[near] != rows.numbers[row]]
                found = self._likeness.alike(asked.ratios(row, distances[near]), near, len(ring), _CROWD)
                if found is not None:
                    rows.crowded(row, f"{found[0]} of {found[1]} queries of others are like it")
        ring.add(z[fresh], rows.digests[fresh], rows.numbers[fresh], now)

    def _hashed(self, rows: _Rows, x: Array, now: float, since: float) -> None:
        if self._hashes is None or self._chains is None:
            return
        found = self._chains.add(self._hashes(x), rows.numbers, now, since)
        for row, (own, shared) in enumerate(found):
            if own >= self._bounds.similar:
                rows.reasons[row] = rows.reasons[row] or f"a variant of its {own} queries before"
            elif self._bounds.everybody and shared >= _CROWD:
                rows.crowded(row, f"a variant of {shared} queries, others' among them")

    def _caller(self, name: str) -> _Caller:
        caller = self._callers.get(name)
        if caller is None:
            self._named += 1
            caller = self._callers[name] = _Caller(name, self._named, Ring(self._bounds.rows, self._width))
            self._nbytes += caller.ring.nbytes
        else:
            self._callers.move_to_end(name)
        return caller

    def _forget(self) -> None:
        while self._nbytes > self._bounds.nbytes and len(self._callers) > 1:
            _, caller = self._callers.popitem(last=False)
            self._nbytes -= caller.ring.nbytes

    def _digest(self, row: Array) -> int:
        told = self._keyed.copy()
        told.update(row.tobytes())
        return int.from_bytes(told.digest(), "little")
