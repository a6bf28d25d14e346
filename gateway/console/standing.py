"""How an endpoint stands with drift, as overview and `watchgate status` tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectors.drift.encoder import TOGETHER
from gateway.cli.since import iso, local
from gateway.tracking.driftreading import farthest_first
from gateway.tracking.driftreport import DriftStatus

_NAMED = 3  # series in a sentence


@dataclass(frozen=True, slots=True)
class Standing:
    """`watched`: the config asks for drift. `status` None: nothing was evaluated yet, or, with `trouble`, who knows."""

    watched: bool = False
    status: DriftStatus | None = None
    trouble: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether some series drifts, as far as is known."""
        return self.status is not None and self.status.drifted

    @property
    def since(self) -> str:
        """When that began, for people."""
        since_s = None if self.status is None else self.status.since_s
        return "" if since_s is None else local(int(since_s * 1e9), "%d %b %H:%M")

    @property
    def sentence(self) -> str:
        """Which series drift, the farthest first."""
        if self.status is None:
            return ""
        names = [one.name for one in farthest_first(self.status.series) if one.drifted and one.name != TOGETHER]
        more = len(names) - _NAMED
        text = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"since {self.since} the rows differ from the held-out ones in {text or 'how features go together'}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        status = self.status
        return {
            "watched": self.watched,
            "drifted": None if status is None else status.drifted,
            "since": None if status is None or status.since_s is None else iso(int(status.since_s * 1e9)),
            "series": [] if status is None else [one.name for one in farthest_first(status.series) if one.drifted],
            "rows": 0 if status is None else status.rows,
            "trouble": self.trouble,
        }


NOT_WATCHED = Standing()
