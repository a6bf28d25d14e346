"""Traces as tables for a terminal of 80 columns. What callers wrote is shown with its control characters taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.cli.output import safe
from gateway.cli.since import local
from gateway.state.record import Number, Record, RowEvidence, StageEvidence, Trace
from gateway.telemetry.summary import answer_text, score_text, summary

_STYLES = {"reject": "bold red", "flag": "yellow", "error": "bold magenta", "allow": "green"}
_PAYLOADS = {
    "none": "no suspicious rows to keep",
    "off": "not kept: capture is turned off",
    "quota": "not kept: its principal was over its share",
    "evicted": "no longer kept: made room for newer ones",
}
_SHOWN_ROWS = 20


def terminal() -> Console:
    """Where tables go; nothing in them is taken for markup."""
    return Console(highlight=False, markup=False, emoji=False)


def list_page(console: Console, traces: Sequence[Trace]) -> None:
    """One line a trace, newest first."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    widths = {"time": 14, "id": 8, "endpoint": 8, "verdict": 7, "rows": 4, "decided by": 10, "principal": 9}
    for heading, least in widths.items():
        justify: Literal["left", "right"] = "right" if heading == "rows" else "left"
        table.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=least, justify=justify)
    for trace in traces:
        record = trace.record
        table.add_row(
            local(record.started_ns, "%m-%d %H:%M:%S"),
            record.id[:8],
            safe(record.endpoint),
            _verdict(record.verdict, enforced=record.enforced),
            _rows(record),
            safe(record.stage),
            safe(record.principal),
        )
    console.print(table)
    if any(not trace.record.enforced for trace in traces):
        console.print("* only watched: what the verdict would have been", style="dim")


def show_page(console: Console, trace: Trace, row: RowEvidence | None) -> None:
    """Everything that is known of one trace; the stages' evidence on `row`."""
    record = trace.record
    head = Text.assemble(_verdict(record.verdict, enforced=record.enforced), f"  {safe(record.endpoint)}  {record.id}")
    console.print(head)
    console.print(Padding(Text(safe(summary(record, row))), (1, 0)))
    console.print(_facts(trace))
    if len(record.row_evidence) > 1:
        console.print(Padding(_rows_table(record), (1, 0, 0, 0)))
    if row is not None:
        console.print(Padding(_stages_table(record, row), (1, 0, 0, 0)))
        console.print(Padding(_model_lines(row), (1, 0, 0, 0)))


def _facts(trace: Trace) -> Table:
    record = trace.record
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    captured = (
        f"kept: {_count(len(record.captured), 'suspicious row')}"
        if trace.payload == "kept"
        else _PAYLOADS[trace.payload]
    )
    caller = safe(record.principal) + (f", {safe(record.user_agent)}" if record.user_agent else "")
    path = safe(record.route.replace("{model}", record.endpoint))
    lines = {
        "time": f"{local(record.started_ns)}, took {record.took_ms:.1f} ms, answered {record.status}",
        "caller": caller,
        "request": f"{path}, {record.body_bytes} bytes, {_count(record.rows, 'row')}",
        "caller's id": safe(record.request_id) if record.request_id else None,
        "caller's trace": record.caller_trace_id,
        "chain": f"{record.version[:12]}, {record.mode}",
        "input sha256": record.digest or "-",
        "input": captured,
    }
    for name, value in lines.items():
        if value is not None:
            grid.add_row(name, Text(value))
    return grid


def _rows_table(record: Record) -> Table:
    shown = record.row_evidence[:_SHOWN_ROWS]
    left = record.rows - len(shown)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.caption, table.caption_justify = (f"and {left} more rows" if left else None), "left"
    for heading in ("row", "verdict", "p-value", "decided by", "model", "after purifying"):
        table.add_column(heading, no_wrap=True)
    for row in shown:
        verdict = _verdict(row.verdict, enforced=row.action == row.verdict)
        said = answer_text(row.before), answer_text(row.after)
        table.add_row(str(row.row), verdict, _p(row.p_value), safe(row.stage), *said)
    return table


def _stages_table(record: Record, row: RowEvidence) -> Table:
    index = record.row_evidence.index(row)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    if record.rows > 1:
        table.title, table.title_justify = f"row {row.row}", "left"
    table.add_column("stage", no_wrap=True)
    for heading in ("score", "flags from", "rejects from", "p-value", "ms"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("")
    for stage in record.stages:
        score, p = stage.scores[index], stage.p_values[index]
        cells = (score_text(score), score_text(stage.flag_score), score_text(stage.reject_score), _p(p))
        remark = _remark(stage, score, decided=stage.name == row.stage and row.verdict != "allow")
        table.add_row(safe(stage.name), *cells, f"{stage.took_ms:.2f}", remark)
    return table


def _remark(stage: StageEvidence, score: Number, *, decided: bool) -> Text:
    if stage.error is not None:
        return Text(safe(stage.error), style="bold magenta")
    if decided:
        return Text("< decided", style="bold")
    if score is None:
        return Text("not needed" if stage.conditional else "not reached", style="dim")
    return Text("shadow: only watched" if stage.shadow else "", style="dim")


def _model_lines(row: RowEvidence) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("chain p-value", _p(row.p_value))
    grid.add_row("model says", answer_text(row.before))
    if row.after is not None:
        grid.add_row("after purifying", answer_text(row.after))
    return grid


def _verdict(word: str, *, enforced: bool) -> Text:
    return Text(word + ("" if enforced else "*"), style=_STYLES.get(word, ""))


def _rows(record: Record) -> str:
    return str(record.rows) if record.rows <= 1 else f"{record.rejected + record.flagged}/{record.rows}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _p(value: Number) -> str:
    return "-" if value is None else f"{value:.2g}"
