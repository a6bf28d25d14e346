"""An explanation as text, and as plain values."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.explaining.columns import MOST
from gateway.explaining.explanation import Explanation, StageSaid
from gateway.state.record import Number
from gateway.telemetry.summary import answer_text, score_text, summary

_STYLES = {"reject": "bold red", "flag": "yellow", "error": "bold magenta", "allow": "green"}
_WIDEST = 16  # characters of a bar
_FEW = 10  # pieces of a combiner


def show(console: Console, found: Explanation, title: str) -> None:
    """Why the chain decides as it does."""
    record = found.record
    console.print(Text.assemble((record.verdict, _STYLES.get(record.verdict, "")), f"  {record.endpoint}  {title}"))
    console.print(Padding(Text(summary(record)), (1, 0)))
    if found.row is not None:
        console.print(_stages(found))
        console.print(Text(_rule(found), style="dim"))
        for stage in found.stages:
            if stage.words and not stage.decided:  # else the summary has them
                console.print(Padding(Text(f"{stage.evidence.name}: {stage.words}"), (1, 0, 0, 0)))
            if stage.pieces:
                console.print(Padding(_pieces(stage), (1, 0, 0, 0)))
        console.print(Padding(_answers(found), (1, 0, 0, 0)))
    if found.columns:
        console.print(Padding(_columns(found), (1, 0, 0, 0)))
    for note in found.notes:
        console.print(Text(note, style="dim"))


def document(found: Explanation) -> dict[str, Any]:
    """The same as plain values."""
    row, record = found.row, found.record
    facts = ("endpoint", "version", "mode", "verdict", "error", "flag_cut", "reject_cut")
    told: dict[str, Any] = {name: getattr(record, name) for name in facts}
    told |= {"summary": summary(record), "row": None if row is None else msgspec.to_builtins(row)}
    told["stages"] = [_stage_values(stage) for stage in found.stages]
    told["columns"] = [_plain(column) for column in found.columns]
    return told | {"notes": list(found.notes)}


def _stage_values(stage: StageSaid) -> dict[str, Any]:
    evidence = stage.evidence
    return {
        "name": evidence.name,
        "score": stage.score,
        "p_value": stage.p_value,
        "weighted": stage.weighted,
        "honest_median": stage.median,
        "honest_1_in_100": stage.rare,
        "flag_score": evidence.flag_score,
        "reject_score": evidence.reject_score,
        "shadow": evidence.shadow,
        "decided": stage.decided,
        "error": evidence.error,
        "words": stage.words,
        "pieces": [_plain(piece) for piece in stage.pieces],
    }


def _plain(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def _stages(found: Explanation) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    for heading in ("score", "median", "1 in 100", "flags", "rejects", "p-value"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("", no_wrap=True)
    for stage in found.stages:
        evidence = stage.evidence
        cells = map(_score, (stage.score, stage.median, stage.rare, evidence.flag_score, evidence.reject_score))
        table.add_row(evidence.name, *cells, _p(stage.p_value), _remark(stage))
    table.caption, table.caption_justify = (
        "median, 1 in 100: what honest rows score; flags, rejects: from there on",
        "left",
    )
    return table


def _remark(stage: StageSaid) -> Text:
    if stage.evidence.error is not None:
        return Text(stage.evidence.error, style="bold magenta")
    if stage.decided:
        return Text("< decided", style="bold")
    if stage.score is None:
        return Text("not needed" if stage.evidence.conditional else "not reached", style="dim")
    return Text("shadow" if stage.evidence.shadow else "", style="dim")


def _rule(found: Explanation) -> str:
    row, record = found.row, found.record
    assert row is not None
    if record.flag_cut is None or record.reject_cut is None:
        return "The chain has no cuts: it allows all."
    weighted = "" if all(s.weighted == s.p_value for s in found.stages) else ", each divided by its weight"
    statistic = _p(row.statistic)
    return (
        f"The smallest p-value{weighted}: {statistic}. Rows are flagged below {record.flag_cut:.2g} and rejected "
        f"below {record.reject_cut:.2g}."
    )


def _pieces(stage: StageSaid) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.title, table.title_justify = stage.title, "left"
    for heading, right in (("evidence", False), ("score", True), ("adds", True), ("", False)):
        table.add_column(heading, no_wrap=True, justify="right" if right else "left")
    most = max((piece.adds for piece in stage.pieces), default=0.0)
    for piece in stage.pieces[:_FEW]:
        bar = "█" * round(_WIDEST * piece.adds / most) if most > 0.0 else ""
        table.add_row(piece.name, score_text(piece.score), f"{piece.adds:.3g}", bar)
    left = len(stage.pieces) - _FEW
    if left > 0:
        table.caption, table.caption_justify = f"and {left} more", "left"
    return table


def _answers(found: Explanation) -> Table:
    row = found.row
    assert row is not None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("chain p-value", _p(row.p_value))
    grid.add_row("model says", answer_text(row.before))
    if row.after is not None:
        grid.add_row("after purifying", answer_text(row.after))
    return grid


def _columns(found: Explanation) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.title, table.title_justify = "columns farthest from the reference", "left"
    table.add_column("column", no_wrap=True)
    for heading in ("value", "reference, 98 %", "off"):
        table.add_column(heading, no_wrap=True, justify="right")
    for column in found.columns:
        between = f"{column.low:.4g} to {column.high:.4g}"
        off = f"{column.off:.1f}" if column.off < MOST else f"> {MOST:g}"
        table.add_row(column.name, f"{column.value:.4g}", between, off)
    table.caption, table.caption_justify = "off 1: at the end of that range", "left"
    return table


def _score(value: Number) -> str:
    return "> 0" if value is not None and 0.0 < value < 1e-30 else score_text(value)


def _p(value: Number) -> str:
    return "-" if value is None else f"{value:.2g}"
