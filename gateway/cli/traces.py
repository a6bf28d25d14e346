"""`watchgate traces`: the requests that were flagged, rejected or failed, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import mark
from gateway.cli.output import AsJson, note, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.state.marks import Mark
    from gateway.state.record import Record, RowEvidence, Trace
    from gateway.state.sqlite import SqliteStore
    from gateway.state.store import Filter

app = typer.Typer(
    help="Look at requests that were flagged, rejected or refused for want of evidence.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


class VerdictWord(str, Enum):
    """Which traces to show; without it all but sampled clean ones."""

    flag = "flag"
    reject = "reject"
    error = "error"
    allow = "allow"


class FileForm(str, Enum):
    """How exported rows are written."""

    npz = "npz"
    jsonl = "jsonl"
    parquet = "parquet"


ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]
Since = Annotated[str | None, typer.Option(help="Not older than: 45s, 10m, 2h, 3d, or 2026-05-01T12:00.")]
Until = Annotated[str | None, typer.Option(help="Older than, written in the same ways.")]
EndpointOption = Annotated[str | None, typer.Option("--endpoint", help="Only of this endpoint.")]
VerdictOption = Annotated[
    list[VerdictWord] | None, typer.Option("--verdict", help="Only these (repeatable); else all but sampled `allow`.")
]
StageOption = Annotated[str | None, typer.Option("--stage", help="Only those this stage decided.")]
PrincipalOption = Annotated[str | None, typer.Option("--principal", help="Only those of this caller.")]
LabelOption = Annotated[int | None, typer.Option("--label", help="Only those in which the model saw this class.")]
DigestOption = Annotated[str | None, typer.Option("--digest", help="Only those with this input: its whole sha256.")]
DEFAULT_CONFIG = Path("watchgate.yaml")


@app.command("list")
def list_traces(
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
    wanted = replace(_filter(since, until, endpoint, verdict, stage, principal), label=label, digest=digest)
    with _store(config) as store:
        last = None if after is None else found(store, after).record.id
        traces = store.find(wanted, limit, last)
        marks = store.marks.of([trace.record.id for trace in traces]) if store.current else {}
    more = traces[-1].record.id if len(traces) == limit else None
    if as_json:
        print_json({"traces": [_brief(trace, marks.get(trace.record.id)) for trace in traces], "next": more})
    elif not traces:
        note("no traces match")
    else:
        from gateway.cli.tracepages import list_page

        list_page(_console(), traces)
        if more is not None:
            note(f"more: add --after {more[:8]}")


@app.command("show")
def show_trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="A trace's id, or enough of its beginning.")],
    config: ConfigOption = DEFAULT_CONFIG,
    row: Annotated[int | None, typer.Option(min=0, help="The row to explain; else the most suspicious one.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the kept rows here: PNG pictures of images, and .npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explains one trace: who scored what, which stage decided, what the model said."""
    with _store(config) as store:
        trace = found(store, trace_id)
        said = store.marks.of([trace.record.id]).get(trace.record.id) if store.current else None
        chosen = _row(trace.record, row)
        saved: list[Path] = []
        if save is not None:
            from gateway.cli.tracefiles import save_trace

            saved = save_trace(store, trace, save)
        if as_json:
            from gateway.cli.tracebeside import beside
            from gateway.configfile import read

            more = beside(read(config), store, trace.record, chosen)
    if as_json:
        print_json({**_whole(trace, said, saved), "beside": more})
        return
    from gateway.cli.tracepages import safe, show_page

    show_page(_console(), trace, chosen)
    if said is not None:
        note(f"marked: {said.word}{f' ({safe(said.note)})' if said.note else ''}")
    for file in saved:
        note(f"wrote {file}")


@app.command("export")
def export_traces(
    file: Annotated[Path, typer.Argument(help="Where to: .npz, .jsonl for one JSON object a row, or .parquet.")],
    config: ConfigOption = DEFAULT_CONFIG,
    since: Since = None,
    until: Until = None,
    endpoint: EndpointOption = None,
    verdict: VerdictOption = None,
    stage: StageOption = None,
    principal: PrincipalOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows of at most so many traces.")] = None,
    form: Annotated[
        FileForm | None, typer.Option("--format", help="The file's form, where its name does not say.")
    ] = None,
    window: Annotated[
        bool,
        typer.Option(
            "--window",
            help="Parquet: all rows judged in the time, sampled `allow` ones too, values kept or not.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Writes the kept rows of matching traces to one file, newest first."""
    from gateway.cli.tracefiles import export_jsonl, export_npz, kept_rows

    chosen = _form(file, form, window)
    wanted = _filter(since, until, endpoint, verdict or (list(VerdictWord) if window else None), stage, principal)
    with _store(config) as store:
        if chosen is FileForm.parquet:
            from gateway.cli.parquetfile import export_parquet, judged_rows

            rows = export_parquet(list(judged_rows(store, wanted, limit, window=window)), store.inputs(), file)
        else:
            writer = export_npz if chosen is FileForm.npz else export_jsonl
            rows = writer(kept_rows(store, wanted, limit), file)
    if as_json:
        print_json({"file": file, "rows": rows})
    else:
        note(f"wrote {rows} rows to {file}")


def _form(file: Path, stated: FileForm | None, window: bool) -> FileForm:
    from gateway.errors import OperatorError

    form = stated or next((each for each in FileForm if file.suffix == f".{each.value}"), None)
    if form is None:
        raise OperatorError(f"{file}: expected a name that ends in .npz, .jsonl or .parquet, or --format")
    if window and form is not FileForm.parquet:
        raise OperatorError(f"--window: expected a .parquet file, found {file.name}")
    return form


app.command("mark")(mark.mark)


@contextmanager
def _store(config: Path) -> Iterator[SqliteStore]:
    from gateway.configfile import read
    from gateway.state.sqlite import SqliteStore

    store = SqliteStore.open_for_reading(read(config).state.path)
    try:
        yield store
    finally:
        store.close()


def _filter(
    since: str | None,
    until: str | None,
    endpoint: str | None,
    verdict: list[VerdictWord] | None,
    stage: str | None,
    principal: str | None,
) -> Filter:
    from gateway.cli.since import instant_ns
    from gateway.state.store import Filter

    now = time.time_ns()
    words = verdict or [VerdictWord.flag, VerdictWord.reject, VerdictWord.error]
    times = instant_ns("--since", since, now), instant_ns("--until", until, now)
    return Filter(*times, endpoint, tuple(word.value for word in words), stage, principal)


def found(store: SqliteStore, prefix: str) -> Trace:
    """The trace whose id begins so; else the command ends with status 1."""
    try:
        return store.get(prefix.lower())
    except LookupError as error:
        note(f"watchgate: {error.args[0]}")
        raise typer.Exit(1) from None


def _row(record: Record, number: int | None) -> RowEvidence | None:
    from gateway.errors import OperatorError
    from gateway.telemetry.summary import worst

    if number is None:
        return worst(record)
    row = next((row for row in record.row_evidence if row.row == number), None)
    if row is None:
        raise OperatorError(f"--row: expected one of the {len(record.row_evidence)} rows kept, found {number}")
    return row


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


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
