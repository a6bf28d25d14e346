"""`watchgate traces show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, note, print_json, safe
from gateway.cli.traces.options import DEFAULT_CONFIG, ConfigOption, TraceId, found, opened

if TYPE_CHECKING:
    from gateway.state.marks import Mark
    from gateway.state.record import Record, RowEvidence, Trace


def show(
    trace_id: TraceId,
    config: ConfigOption = DEFAULT_CONFIG,
    row: Annotated[int | None, typer.Option(min=0, help="The row to explain; else the most suspicious one.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the kept rows here: PNG pictures of images, and .npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explains one trace: who scored what, which stage decided, what the model said."""
    with opened(config) as store:
        trace = found(store, trace_id)
        said = store.marks.of([trace.record.id]).get(trace.record.id) if store.current else None
        chosen = _row(trace.record, row)
        saved: list[Path] = []
        if save is not None:
            from gateway.cli.traces.files import save_trace

            saved = save_trace(store, trace, save)
        if as_json:
            from gateway.cli.traces.beside import beside
            from gateway.configfile import read

            more = beside(read(config), store, trace.record, chosen)
    if as_json:
        print_json({**_whole(trace, said, saved), "beside": more})
        return
    from gateway.cli.traces.pages import show_page, terminal

    show_page(terminal(), trace, chosen)
    if said is not None:
        note(f"marked: {said.word}{f' ({safe(said.note)})' if said.note else ''}")
    for file in saved:
        note(f"wrote {file}")


def _row(record: Record, number: int | None) -> RowEvidence | None:
    from gateway.errors import OperatorError
    from gateway.telemetry.summary import worst

    if number is None:
        return worst(record)
    row = next((row for row in record.row_evidence if row.row == number), None)
    if row is None:
        raise OperatorError(f"--row: expected one of the {len(record.row_evidence)} rows kept, found {number}")
    return row


def _whole(trace: Trace, mark: Mark | None, saved: list[Path]) -> dict[str, Any]:
    import msgspec

    from gateway.cli.since import iso
    from gateway.telemetry.summary import summary

    record = trace.record
    facts: dict[str, Any] = msgspec.to_builtins(record)
    return {
        **facts,
        "time": iso(record.started_ns),
        "took_ms": record.took_ms,
        "summary": summary(record),
        "label": record.label,
        "payload": trace.payload,
        "mark": None if mark is None else {"word": mark.word, "note": mark.note, "time": iso(mark.marked_ns)},
        "saved": saved,
    }
