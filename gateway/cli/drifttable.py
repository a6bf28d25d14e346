"""What `watchgate drift` prints for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.output import safe
from gateway.cli.since import local
from gateway.tracking.drift.reading import Drift
from gateway.tracking.feedback.report import AccuracyStatus


def show(found: Drift) -> None:
    """One endpoint: a line that says how it stands, and a table of its series, the farthest first."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"{found.endpoint}: {standing(found)}", soft_wrap=True)
    if found.accuracy is not None:
        console.print(f"  {_right(found.accuracy)}", soft_wrap=True)
    for tracker in found.trackers:
        if tracker.error is not None:
            console.print(f"  tracker {tracker.tracker}: {safe(tracker.error)}", soft_wrap=True)
    if found.series:
        console.print(_table(found))


def standing(found: Drift) -> str:
    """One sentence: whether it drifts, since when, and on how many rows that rests."""
    if not found.series and found.status is None:
        return "nothing was evaluated yet: too few rows came"
    says = "not drifted" if found.since_s is None else f"drifted since {_clock(found.since_s)}"
    status = found.status
    if status is None:
        return says
    late = f"; {status.late_rows:,} rows came too late" if status.late_rows else ""
    return f"{says}; {status.rows:,} rows evaluated, the last at {_clock(status.at_s)}{late}"


def _right(accuracy: AccuracyStatus) -> str:
    if accuracy.accuracy is None:
        return f"accuracy: not known yet, {accuracy.labels:,} labels came"
    calibrated = "" if accuracy.expected is None else f"; {accuracy.expected:.1%} at calibrate"
    interval = f"95 % interval {accuracy.low:.1%} to {accuracy.high:.1%}"
    return f"accuracy {accuracy.accuracy:.1%} of the newest {accuracy.window:,} labels ({interval}){calibrated}"


def _table(found: Drift) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("series", "drifted since", "kind"):
        table.add_column(name)
    for name in ("statistic", "threshold", "psi", "rows"):
        table.add_column(name, justify="right")
    for one in found.series:
        numbers = (f"{one.statistic:.3g}", f"{one.threshold:.3g}", f"{one.psi:.2g}", f"{one.rows}")
        since = _clock(one.since_s) if one.drifted and one.since_s is not None else ""
        table.add_row(*(Text(cell) for cell in (safe(one.name), since, one.kind, *numbers)))
    return table


def _clock(seconds: float) -> str:
    return local(int(seconds * 1e9))
