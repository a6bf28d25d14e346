"""What an operator's marks say of the real false-positive rate. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detectors.conformal import clopper_pearson
from gateway.console.totals import Totals
from gateway.state.marks import Mark

FEWEST = 20  # marks below which no other budget is suggested


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """One kind of alarm: `flag` (rejected ones counted in) or `reject`.

    `rate` and `interval` (95 %) estimate the share of honest rows that are stopped so, if the marked requests are a
    fair sample of all stopped ones: with h of m marks honest, F of N rows stopped, it is F h/m over N - F (1 - h/m).
    They are None without marks or without counted rows. `suggested` is a budget that would bring the rate back to the
    one promised; None where the marks don't contradict the promise.
    """

    which: str
    budget: float
    honest: int
    attack: int
    broken: int
    rate: float | None = None
    interval: tuple[float, float] | None = None
    suggested: float | None = None

    @property
    def marked(self) -> int:
        """How many stopped requests have a mark."""
        return self.honest + self.attack + self.broken

    @property
    def says(self) -> str:
        """What to make of it, in a sentence."""
        if not self.marked:
            return "No stopped request has a mark yet."
        if self.rate is None or self.interval is None:
            return "Marks are there, but no traffic was counted since the calibration."
        if self.suggested is not None:
            return "More honest rows are stopped than promised: the traffic no longer looks like the holdout."
        if self.interval[0] > self.budget:
            return f"More than promised, it seems; {FEWEST} marks are needed to say so."
        return "The marks agree with the promise."


def false_alarms(marks: Sequence[Mark], added: Totals, which: str, budget: float) -> FalseAlarms:
    """The estimate from these marks and the rows counted while the same chain served."""
    stops = ("reject",) if which == "reject" else ("flag", "reject")
    words = [mark.word for mark in marks if mark.verdict in stops]
    honest, attack, broken = (words.count(word) for word in ("honest", "attack", "broken"))
    stopped = added.rejected if which == "reject" else added.suspicious
    if not words or not added.rows or not stopped:
        return FalseAlarms(which, budget, honest, attack, broken)

    def rate(share: float) -> float:
        others = added.rows - stopped * (1.0 - share)
        return stopped * share / others if others > 0 else 1.0

    low, high = (rate(share) for share in clopper_pearson(honest, len(words)))
    found = rate(honest / len(words))
    contradicted = low > budget and len(words) >= FEWEST
    suggested = float(f"{budget * budget / found:.2g}") if contradicted else None
    return FalseAlarms(which, budget, honest, attack, broken, found, (low, high), suggested)
