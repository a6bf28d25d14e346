"""An endpoint's rows as its monitor's encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.drift.encoder import FLAGGED, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.sums import Sums
from gateway.tracking.drift.report import history_prefix, status_name, sums_key
from gateway.verdict import Judged
from models.backend import Outputs
from models.batch import Array, InputSpec

_KEPT_BYTES = 2**25
_HOUR_S, _WEEK_S = 3600.0, 7 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """An endpoint with the bundle it serves: replicas on other bundles count apart. `every_s` is a bucket's length."""

    endpoint: str
    bundle: str
    monitor: Monitor
    spec: InputSpec
    every_s: float
    rows_per_second: float

    @property
    def key(self) -> str:
        """What its sums are kept under."""
        return sums_key(self.endpoint, self.bundle)

    @property
    def state_name(self) -> str:
        """What the evaluation's state is kept under."""
        return f"drift/state/{self.endpoint}/{self.bundle}"

    @property
    def lease_name(self) -> str:
        """Who evaluates has this lease."""
        return f"drift/lease/{self.endpoint}/{self.bundle}"

    @property
    def status_name(self) -> str:
        """What the last evaluation's status is kept under."""
        return status_name(self.endpoint, self.bundle)

    @property
    def history_prefix(self) -> str:
        """What the names of earlier statuses begin with."""
        return history_prefix(self.endpoint)

    @property
    def kept_s(self) -> int:
        """For how long sums are kept after they were evaluated: a week, or as many as take `_KEPT_BYTES`."""
        vector = 8 * len(self.monitor.encoder.zero().vector())
        return int(min(_WEEK_S, max(_HOUR_S, _KEPT_BYTES / vector * self.every_s)))

    def bucket(self, now: float) -> int:
        """The bucket of this time: the whole second in which it began, so that another `every` keeps their order."""
        return int(now // self.every_s * self.every_s)

    def ended(self, now: float) -> int:
        """The last bucket that has ended by now."""
        return self.bucket(now - self.every_s)


def tracked(x: Array, outputs: Outputs, spec: InputSpec, flagged: Array | None) -> Rows:
    """Rows as the monitor's encoder takes them: what it is fitted on, and what it counts while serving.

    `flagged` (n,) bool is whether a row was flagged or rejected; None for an endpoint without a chain.
    """
    columns = x if spec.kind == "table" and x.dtype.kind in "biuf" else outputs.features
    return Rows(columns, outputs.logits, flagged)


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Rows of several requests: those that were allowed, and how many were not."""

    allowed: Rows | None
    allowed_rows: int
    flagged_rows: int


def gather(judged: Sequence[Judged], watched: Watched, picked: Array | None = None) -> Gathered:
    """The rows of these requests, or only the `picked` ones, a mask (n,).

    Where the endpoint only watches, rows count as flagged that would have been. The model's answer is the one to the
    rows as they came, not to purified ones. A request without an answer had no row that was allowed.
    """
    taken = picked
    flags = np.concatenate([each.verdicts.shadowed for each in judged]) != 0
    if watched.monitor.encoder.names[-1] != FLAGGED:
        flags[:] = False
    allowed = ~flags if taken is None else taken & ~flags
    allowed_rows = int(np.count_nonzero(allowed))
    counted = len(flags) if taken is None else int(np.count_nonzero(taken))
    if not allowed_rows:
        return Gathered(None, 0, counted)
    parts = []
    known = np.ones(len(flags), dtype=bool)
    start = 0
    for each in judged:
        rows = len(each.batch.x)
        outputs = each.outputs if each.before is None else each.before
        if outputs is None:
            known[start : start + rows] = False
        else:
            parts.append(tracked(each.batch.x, outputs, watched.spec, None))
        start += rows
    return Gathered(Rows.concat(parts).take(allowed[known]), allowed_rows, counted - allowed_rows)


def pick(judged: Sequence[Judged], rows: Array) -> tuple[list[Judged], Array]:
    """The requests that have these `rows`, as indices over all of them, and which of their rows those are: a mask."""
    sizes = np.array([len(each.batch.x) for each in judged])
    ends = np.cumsum(sizes)
    which = np.searchsorted(ends, rows, side="right")
    used, place = np.unique(which, return_inverse=True)
    starts = np.cumsum(sizes[used]) - sizes[used]
    picked = np.zeros(int(sizes[used].sum()), dtype=bool)
    picked[starts[place] + rows - (ends - sizes)[which]] = True
    return [judged[number] for number in used.tolist()], picked


class Summing:
    """Turns gathered rows into sums."""

    def __init__(self, watched: Watched) -> None:
        encoder = watched.monitor.encoder
        self._encoder = encoder
        self._flags = encoder.names[-1] == FLAGGED
        alone = [np.zeros(1)] * (len(encoder.names) - 1)
        self._flagged = Sums.of(*encoder.encode([*alone, np.ones(1)]))

    def allowed(self, rows: Rows, n: int) -> Sums:
        """Of `n` rows that were allowed."""
        flagged = np.zeros(n, dtype=bool) if self._flags else None
        return self._encoder.sums(Rows(rows.columns, rows.logits, flagged))

    def flagged(self, n: int) -> Sums:
        """Of `n` rows that were flagged or rejected: nothing of them counts but how many they are."""
        one = self._flagged
        return Sums(n, one.counts * n, one.waves * n)
