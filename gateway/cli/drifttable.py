"""What `watchgate drift` prints for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.since import local
from gateway.cli.tracepages import safe
from gateway.tracking.driftreading import Drift, farthest_first
from gateway.tracking.driftreport import DriftStatus


def show(found: Drift) -> None:
    """One endpoint: a line that says how it stands, and a table of its series, the farthest first."""
    console = Console(highlight=False, markup=False, emoji=False)
    status = found.status
    if status is None:
        console.print(f"{found.endpoint}: nothing was evaluated yet: too few rows came", soft_wrap=True)
        return
    console.print(f"{found.endpoint}: {standing(status)}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("series", "drifted since", "kind"):
        table.add_column(name)
    for name in ("statistic", "threshold", "psi", "rows"):
        table.add_column(name, justify="right")
    for one in farthest_first(status.series):
        numbers = (f"{one.statistic:.3g}", f"{one.threshold:.3g}", f"{one.psi:.2g}", f"{one.rows}")
        cells = (safe(one.name), "" if one.since_s is None else _clock(one.since_s), one.kind, *numbers)
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def standing(status: DriftStatus) -> str:
    """One sentence: whether it drifts, since when, and on how many rows that rests."""
    says = "not drifted" if status.since_s is None else f"drifted since {_clock(status.since_s)}"
    late = f"; {status.late_rows:,} rows came too late" if status.late_rows else ""
    return f"{says}; {status.rows:,} rows evaluated, the last at {_clock(status.at_s)}{late}"


def _clock(seconds: float) -> str:
    return local(int(seconds * 1e9))
