"""A worker's numbers after some more traffic."""

from __future__ import annotations

from gateway.metrics.meter import Numbers, key
from gateway.metrics.tally import Tally, total


def grown(tally: Tally, *, rows: int, rejected: int) -> Numbers:
    """What it counted so far, and so many allowed and rejected rows more."""
    numbers = total(tally.folder)
    for action, count in (("allow", rows), ("reject", rejected)):
        numbers[key("watchgate_rows_total", {"endpoint": "digits", "action": action})] += count
    return numbers
