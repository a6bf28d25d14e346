"""Medians, spreads and intervals of measured numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta


@dataclass(frozen=True)
class Summary:
    """A number measured in several rounds: its median, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Summary:
        """Over rounds; needs at least one."""
        return Summary(float(np.median(values)), float(min(values)), float(max(values)))

    @staticmethod
    def of_ratios(above: Sequence[float], below: Sequence[float]) -> Summary:
        """Of above/below, taken round by round, so that what slows a whole round cancels."""
        return Summary.of([a / b for a, b in zip(above, below, strict=True)])

    def text(self, digits: int = 0) -> str:
        """`median (low-high)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass(frozen=True)
class Rate:
    """k of n, with the exact 95 % interval of the share (Clopper and Pearson, 1934)."""

    k: int
    n: int

    @property
    def share(self) -> float:
        """k / n; NaN where there are no rows."""
        return self.k / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; the whole of [0, 1] where there are no rows."""
        low = float(beta.ppf(0.025, self.k, self.n - self.k + 1)) if self.k > 0 else 0.0
        high = float(beta.ppf(0.975, self.k + 1, self.n - self.k)) if self.k < self.n else 1.0
        return low, high

    def text(self) -> str:
        """`share % [low, high]`."""
        if not self.n:
            return "no rows"
        low, high = self.interval
        return f"{100 * self.share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"

    def to_json(self) -> dict[str, float | int | list[float] | None]:
        """As it stands in a result file."""
        return {"k": self.k, "n": self.n, "share": self.share if self.n else None, "interval95": list(self.interval)}
