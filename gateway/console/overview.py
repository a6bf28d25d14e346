"""How an endpoint does: what happened over a stretch of time, against its budget, and what needs attention."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gateway.console.attention import Attention, Facts, attention
from gateway.console.sampler import decoded
from gateway.console.source import Source
from gateway.console.totals import LOSSES, Totals, totals_of
from gateway.metrics.meter import Numbers
from gateway.metrics.recorded import recorded
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Filter

RANGES_S = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "3d": 259_200}
_POINTS = 90  # of a curve
_MOST = 6  # stages and principals that are named


@dataclass(frozen=True, slots=True)
class Step:
    """What happened between two samples, in seconds since 1970."""

    start_s: int
    end_s: int
    added: Totals


@dataclass(frozen=True, slots=True)
class Overview:
    """One endpoint over the last `range_s` seconds. `since_s` is when the counters it rests on begin; None where no
    console has watched yet, and all counts are since the state folder began. `facts` holds the counts and what they are
    held against; its stages and principals are those of the newest 5,000 flagged and rejected requests.
    """

    facts: Facts
    mode: str
    range_s: int
    since_s: int | None
    steps: tuple[Step, ...]
    attention: Attention

    @property
    def endpoint(self) -> str:
        """Its name."""
        return self.facts.endpoint

    @property
    def added(self) -> Totals:
        """What happened in the counted stretch."""
        return self.facts.added

    @property
    def seconds(self) -> int | None:
        """How long the counted stretch is: shorter than the range where the console has not watched so long."""
        return None if self.since_s is None else max(1, self.steps[-1].end_s - self.since_s)

    @property
    def per_s(self) -> float | None:
        """Requests a second."""
        return None if self.seconds is None else self.added.requests / self.seconds

    def share(self, which: str) -> float | None:
        """The share of rows flagged (rejected ones counted in) or rejected; None without rows."""
        hits = self.added.suspicious if which == "flag" else self.added.rejected
        return hits / self.added.rows if self.added.rows else None

    def to_json(self) -> dict[str, Any]:
        """For programs; without the curves."""
        added, facts = self.added, self.facts
        return {
            "endpoint": self.endpoint,
            "mode": self.mode,
            "seconds": self.seconds,
            "requests": added.requests,
            "requests_per_s": self.per_s,
            "rows": added.rows,
            "flagged_rows": added.flagged,
            "rejected_rows": added.rejected,
            "flag_share": self.share("flag"),
            "flag_budget": facts.flag_budget,
            "reject_share": self.share("reject"),
            "reject_budget": facts.reject_budget,
            "refused_requests": added.refused,
            "failed_requests": added.failed,
            "stage_errors": added.stage_errors,
            "p50_ms": added.quantile_ms(0.5),
            "p99_ms": added.quantile_ms(0.99),
            "version": facts.version,
            "calibrated_version": facts.calibrated,
            "stages": dict(facts.stages),
            "principals": dict(facts.principals),
            "drift": facts.drift.to_json(),
            "level": self.attention.level,
            "attention": self.attention.text,
        }


@dataclass(frozen=True, slots=True)
class Health:
    """The gateway's own: how many workers serve, what the store holds, what was lost on the side path."""

    workers: int
    stored_requests: int
    stored_bytes: int
    recorder: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Verdicts that did not reach the store."""
        return sum(self.recorder.get(what, 0) for what in LOSSES)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        store = {"requests": self.stored_requests, "bytes": self.stored_bytes}
        return {"workers": self.workers, "store": store, "lost": self.lost, "recorder": self.recorder}


def health(source: Source) -> Health:
    """The gateway's health now.

    Raises:
        StoreError: the store can't be read now.
    """
    numbers = source.numbers()
    with source.store() as store:
        requests, size = store.used()
    return Health(_workers(numbers), requests, size, recorded(numbers))


def overview(source: Source, endpoint: str, range_s: int, now_s: float | None = None) -> Overview:
    """One endpoint over the last `range_s` seconds.

    Raises:
        StoreError: the store can't be read now.
    """
    now_s = time.time() if now_s is None else now_s
    start_s = int(now_s) - range_s
    numbers = source.numbers()
    latest = totals_of(numbers, endpoint)
    with source.store() as store:
        steps = _steps(store, endpoint, start_s, int(now_s), latest)
        newest = store.newest(endpoint)
        stages, principals = _blamed(store, endpoint, start_s)
    calibration, settings = source.calibration(endpoint), source.config.endpoints[endpoint]
    flag, reject = (None, None) if calibration is None else map(calibration.budget, ("flag", "reject"))
    facts = Facts(
        endpoint=endpoint,
        added=_summed(steps) if steps else latest,
        flag_budget=flag,
        reject_budget=reject,
        shadow=settings.mode == "shadow",
        workers=_workers(numbers),
        version=None if newest is None else newest[0],
        calibrated=None if calibration is None else calibration.version,
        stages=stages,
        principals=principals,
        drift=source.standing(endpoint),
    )
    since_s = steps[0].start_s if steps else None
    return Overview(facts, settings.mode, range_s, since_s, steps, attention(facts))


def _steps(store: SqliteStore, endpoint: str, start_s: int, now_s: int, latest: Totals) -> tuple[Step, ...]:
    """What was added between one sample and the next, up to now; () where no sample was taken yet."""
    kept = store.history.points(endpoint, start_s, max(10, (now_s - start_s) // _POINTS))
    points = [(at_s, decoded(text)) for at_s, text in kept if at_s < now_s]
    return tuple(Step(a, b, y.since(x)) for (a, x), (b, y) in pairwise([*points, (now_s, latest)]))


def _blamed(
    store: SqliteStore, endpoint: str, start_s: int
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    wanted = Filter(start_s * 10**9, None, endpoint, ("flag", "reject"))
    return store.lists.tops(wanted, "stage", _MOST), store.lists.tops(wanted, "principal", _MOST)


def _summed(steps: Sequence[Step]) -> Totals:
    total = Totals()
    for step in steps:
        total = total.plus(step.added)
    return total


def _workers(numbers: Numbers) -> int:
    return int(numbers.get(("watchgate_workers", ()), 0))
