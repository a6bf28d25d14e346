"""What the chain decided, row by row, and the evidence it decided on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from models.backend import Outputs
from models.batch import Array, Batch


class Action(IntEnum):
    """What happens to a row; ordered by severity."""

    ALLOW = 0
    FLAG = 1
    REJECT = 2

    @property
    def word(self) -> str:
        """How it is written for people and on the wire."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage over one batch: who scored what, when.

    `scores` (n,) float32 and `p_values` (n,) float64 are NaN where the stage did not run on a row.
    Times are `time.time_ns()`; `error` says why a stage gave no evidence. `scored`: rows, of the whole batch.
    """

    name: str
    scores: Array
    p_values: Array
    started_ns: int
    ended_ns: int
    shadow: bool = False
    error: str | None = None
    scored: int = 0

    def take(self, rows: slice) -> StageRun:
        """The run as seen by only these rows."""
        scores, p_values = self.scores[rows], self.p_values[rows]
        times = (self.started_ns, self.ended_ns)
        return StageRun(self.name, scores, p_values, *times, self.shadow, self.error, self.scored)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one row. `stage` is the name of the stage whose evidence was the strongest."""

    action: Action
    statistic: float
    p_value: float
    stage: str | None
    scores: Mapping[str, float]
    p_values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A sequence of `Verdict`, kept as columns: building one object a row would cost more than judging it.

    `actions` (n,) uint8 `Action`; `statistic` (n,) float64 chain statistic, small is suspicious; `p_value` (n,)
    conformal p-value of the chain; `decided` (n,) index into `stages`, -1 where no stage spoke.
    `shadowed` holds what would have been done where the endpoint only watches; else it is `actions`.
    `runs` are over the whole batch, of which these are the rows `part` (None: all): only requests that are kept for a
    trace ever look at their own share, `stages`.
    """

    actions: Array
    shadowed: Array
    statistic: Array
    p_value: Array
    decided: Array
    runs: tuple[StageRun, ...]
    part: slice | None = None

    @property
    def stages(self) -> tuple[StageRun, ...]:
        """The runs as seen by these rows."""
        return self.runs if self.part is None else tuple(run.take(self.part) for run in self.runs)

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, row: int) -> Verdict:
        decided = int(self.decided[row])
        stages = self.stages
        return Verdict(
            Action(int(self.actions[row])),
            float(self.statistic[row]),
            float(self.p_value[row]),
            stages[decided].name if decided >= 0 else None,
            {s.name: float(s.scores[row]) for s in stages},
            {s.name: float(s.p_values[row]) for s in stages},
        )

    def __iter__(self) -> Iterator[Verdict]:
        return (self[row] for row in range(len(self)))

    @property
    def worst(self) -> Action:
        """The most severe action of all rows."""
        return Action(int(self.actions.max())) if len(self.actions) else Action.ALLOW

    def take(self, rows: slice) -> Verdicts:
        """The verdicts of only these rows: one request's share of a batch."""
        actions = self.actions[rows]
        return Verdicts(
            actions,
            actions if self.shadowed is self.actions else self.shadowed[rows],
            self.statistic[rows],
            self.p_value[rows],
            self.decided[rows],
            self.stages,
            rows,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch, judged: all that the answer and the trace need.

    `outputs` is the final answer (from the purified input where a flagged row was purified; rejected rows hold the
    undefended answer and must not be disclosed), None when every row was rejected.
    `before` is the model's answer to the rows as they came, for the trace, where it is not `outputs`: rows were
    purified, or all rejected after a stage had asked the model. `purified` is their purified input, None when nothing
    was purified; `purified_rows` is a mask of rows answered from it.
    """

    batch: Batch
    verdicts: Verdicts
    outputs: Outputs | None
    before: Outputs | None = None
    purified: Array | None = None
    purified_rows: Array | None = None
    rows_run: int = 0

    def take(self, rows: slice, batch: Batch | None = None) -> Judged:
        """The part that belongs to these rows; `batch` is their own batch, where there is one already."""
        return Judged(
            self.batch.take(rows) if batch is None else batch,
            self.verdicts.take(rows),
            None if self.outputs is None else self.outputs.take(rows),
            None if self.before is None else self.before.take(rows),
            None if self.purified is None else self.purified[rows],
            None if self.purified_rows is None else self.purified_rows[rows],
            self.rows_run,
        )
