"""What a monitor says."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.drift.state import State


@dataclass(frozen=True, slots=True)
class Reading:
    """One series, or all together (`joint`), after a step.

    `statistic` is the deviation in standard errors, of the `kind` (shift, shape, outside, joint) and window that say
    most; it drifts above `threshold`. `level` puts all kinds and windows on one scale, on which alarms are ranked.
    `psi` is how far the window lies from the reference, whatever its size; 0 for `joint`. The window has `rows` rows
    from `first_bucket` on. `since` is the bucket in which a lasting spell began.
    """

    series: str
    kind: str
    statistic: float
    threshold: float
    level: float
    psi: float
    rows: int
    first_bucket: int
    since: int | None = None

    @property
    def drifted(self) -> bool:
        """Whether a spell of drift lasts."""
        return self.since is not None


@dataclass(frozen=True, slots=True)
class Folded:
    """The state after a bucket. `readings` is empty where no step ended with it.

    `started` are the readings of series whose drift begins, the farthest first; `ended` the names of those re-armed.
    """

    state: State
    readings: tuple[Reading, ...] = ()
    started: tuple[Reading, ...] = ()
    ended: tuple[str, ...] = ()
