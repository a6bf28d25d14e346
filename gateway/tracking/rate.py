"""How many rows may be looked at now: a rate, of which some seconds can be saved up."""

from __future__ import annotations

_BURST_S = 5.0


class Rate:
    """`per_second` rows, from the start with those of five seconds."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._saved = per_second * _BURST_S
        self._last: float | None = None

    def take(self, rows: int, now: float) -> int:
        """How many of so many rows may be looked at; `now` is monotonic, in seconds."""
        earned = 0.0 if self._last is None else self._per_second * max(0.0, now - self._last)
        self._last = now
        self._saved = min(self._saved + earned, self._per_second * _BURST_S)
        granted = min(rows, int(self._saved))
        self._saved -= granted
        return granted
