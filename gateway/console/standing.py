"""How an endpoint stands with drift, as overview and `watchgate status` tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectors.drift.encoder import TOGETHER
from gateway.cli.since import iso, local
from gateway.tracking.drift.reading import Drift
from gateway.tracking.drift.report import DriftStatus

_NAMED = 3  # series in a sentence
NOTHING = Drift("")


@dataclass(frozen=True, slots=True)
class Standing:
    """`watched`: the config asks for it. With `trouble`, nobody knows what `drift` is."""

    watched: bool = False
    drift: Drift = NOTHING
    trouble: str | None = None

    @property
    def status(self) -> DriftStatus | None:
        """The last evaluation of rows; None before the first."""
        return self.drift.status

    @property
    def drifted(self) -> bool:
        """Whether some series drifts, as far as is known."""
        return self.drift.drifted

    @property
    def since(self) -> str:
        """When that began, for people."""
        since_s = self.drift.since_s
        return "" if since_s is None else local(int(since_s * 1e9), "%d %b %H:%M")

    @property
    def sentence(self) -> str:
        """Which series drift, the farthest first."""
        names = [one.name for one in self.drift.series if one.drifted and one.name != TOGETHER]
        more = len(names) - _NAMED
        text = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"since {self.since} the rows differ from the held-out ones in {text or 'how features go together'}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        since_s = self.drift.since_s
        return {
            "watched": self.watched,
            "drifted": self.drifted if self.drift.series else None,
            "since": None if since_s is None else iso(int(since_s * 1e9)),
            "series": [one.name for one in self.drift.series if one.drifted],
            "rows": 0 if self.status is None else self.status.rows,
            "trouble": self.trouble,
        }


NOT_WATCHED = Standing()
