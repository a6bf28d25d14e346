"""An endpoint's counters at one moment, and what happened between two moments."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.metrics.meter import LATENCY_S, Numbers
from gateway.metrics.recorded import recorded

LOSSES = ("store_lost", "undescribed", "dropped_verdicts")


class Totals(msgspec.Struct, frozen=True):
    """Counters since the state folder began; or, as a difference of two, of some stretch of time.

    Rows count by what the chain wanted, whether or not it was done (`mode: shadow`); `flagged` leaves rejected ones
    out. `latency` are requests by bucket, upper ends `LATENCY_S` seconds and infinity. `lost` (verdicts that did not
    reach the store) and `export_lost` (traces that did not reach the OTLP receiver) are the whole gateway's.
    """

    requests: float = 0
    failed: float = 0
    rows: float = 0
    flagged: float = 0
    rejected: float = 0
    refused: float = 0
    dropped: float = 0
    stage_errors: float = 0
    lost: float = 0
    export_lost: float = 0
    latency: tuple[float, ...] = (0,) * (len(LATENCY_S) + 1)

    def since(self, earlier: Totals) -> Totals:
        """What was added since then; all of it where the counters began anew in between."""
        if self.rows < earlier.rows or self.requests < earlier.requests:
            return self
        return _each(lambda now, then: max(now - then, 0), self, earlier)

    def plus(self, other: Totals) -> Totals:
        """What was added in both stretches together."""
        return _each(lambda one, more: one + more, self, other)

    def quantile_ms(self, share: float) -> float | None:
        """Milliseconds that this share of requests took at most, interpolated in a bucket; None without requests."""
        count = sum(self.latency)
        if not count:
            return None
        below, start = 0.0, 0.0
        for end, inside in zip(LATENCY_S, self.latency, strict=False):
            if below + inside >= share * count:
                return 1e3 * (start + (end - start) * (share * count - below) / inside)
            below, start = below + inside, end
        return 1e3 * LATENCY_S[-1]

    @property
    def suspicious(self) -> float:
        """Rows flagged or rejected: what a flag budget counts."""
        return self.flagged + self.rejected


def totals_of(numbers: Numbers, endpoint: str) -> Totals:
    """One endpoint's counters among all the gateway's numbers."""
    own = {key: value for key, value in numbers.items() if ("endpoint", endpoint) in key[1]}

    kept = recorded(numbers)

    def total(name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(value for (found, tags), value in own.items() if found == name and wanted <= set(tags))

    def wanted(action: str) -> float:
        return total("watchgate_rows_total", action=action) + total("watchgate_shadow_rows_total", action=action)

    return Totals(
        requests=total("watchgate_requests_total"),
        failed=sum(v for (n, tags), v in own.items() if n == "watchgate_requests_total" and _is_failure(dict(tags))),
        rows=total("watchgate_rows_total"),
        flagged=wanted("flag"),
        rejected=wanted("reject"),
        refused=total("watchgate_refusals_total"),
        dropped=total("watchgate_dropped_observations_total"),
        stage_errors=total("watchgate_stage_errors_total"),
        lost=sum(kept.get(what, 0) for what in LOSSES),
        export_lost=kept.get("export_lost", 0),
        latency=_buckets(lambda end: total("watchgate_request_seconds_bucket", le=end)),
    )


def _is_failure(labels: dict[str, str]) -> bool:
    return labels.get("status", "").startswith("5")


def _buckets(upto: Callable[[str], float]) -> tuple[float, ...]:
    below = [upto(f"{end:g}") for end in LATENCY_S] + [upto("+Inf")]
    return tuple(max(here - before, 0) for before, here in zip([0.0, *below], below, strict=False))


def _each(join: Callable[[float, float], float], one: Totals, other: Totals) -> Totals:
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in one.__struct_fields__}
    latency = tuple(join(a, b) for a, b in zip(*pairs.pop("latency"), strict=True))
    return Totals(**{name: join(a, b) for name, (a, b) in pairs.items()}, latency=latency)
