"""`watchgate traces list`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, note, print_json
from gateway.cli.traces.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    DigestOption,
    EndpointOption,
    LabelOption,
    PrincipalOption,
    Since,
    StageOption,
    Until,
    VerdictOption,
    found,
    matching,
    opened,
)

if TYPE_CHECKING:
    from gateway.state.marks import Mark
    from gateway.state.record import Trace


def list_all(
    config: ConfigOption = DEFAULT_CONFIG,
    since: Since = None,
    until: Until = None,
    endpoint: EndpointOption = None,
    verdict: VerdictOption = None,
    stage: StageOption = None,
    principal: PrincipalOption = None,
    label: LabelOption = None,
    digest: DigestOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after the trace with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists traces, newest first."""
    wanted = replace(matching(since, until, endpoint, verdict, stage, principal), label=label, digest=digest)
    with opened(config) as store:
        last = None if after is None else found(store, after).record.id
        traces = store.find(wanted, limit, last)
        marks = store.marks.of([trace.record.id for trace in traces]) if store.current else {}
    more = traces[-1].record.id if len(traces) == limit else None
    if as_json:
        print_json({"traces": [_brief(trace, marks.get(trace.record.id)) for trace in traces], "next": more})
    elif not traces:
        note("no traces match")
    else:
        from gateway.cli.traces.pages import list_page, terminal

        list_page(terminal(), traces)
        if more is not None:
            note(f"more: add --after {more[:8]}")


def _brief(trace: Trace, mark: Mark | None) -> dict[str, Any]:
    from gateway.cli.since import iso
    from gateway.telemetry.summary import worst

    record, row = trace.record, worst(trace.record)
    facts = ("id", "endpoint", "version", "verdict", "enforced", "stage", "rows", "flagged", "rejected")
    more = ("status", "principal", "took_ms", "caller_trace_id", "digest")
    return {
        "time": iso(record.started_ns),
        **{name: getattr(record, name) for name in (*facts, *more)},
        "p_value": None if row is None else row.p_value,
        "label": record.label,
        "payload": trace.payload,
        "mark": None if mark is None else mark.word,
    }
