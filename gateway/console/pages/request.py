"""`/requests/ID`: one request, one of its rows in full; its pictures, its arrays, and the operator's mark."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.calibration import Calibration
from gateway.console.evidence import curl, series, spans, stages_of
from gateway.console.rendering import form, message, peer_of, render, source_of
from gateway.console.values import told, values_of
from gateway.errors import OperatorError
from gateway.explaining.words import deciding
from gateway.state.marks import MARK_WORDS, NOTE_CHARS
from gateway.state.record import Record, RowEvidence, Trace
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Filter
from gateway.telemetry.pictures import draw, draw_difference, is_image
from gateway.telemetry.summary import summary
from models.batch import Array

logger = logging.getLogger("watchgate.console")

_ALIKE = 8
_NEAR = 4
_NEAR_COLUMNS = 2  # of a table's nearest rows
_PICTURES = ("input", "purified", "difference")


def page(request: Request) -> Response:
    """The whole page."""
    source = source_of(request)
    try:
        with source.store() as store:
            trace = store.get(request.path_params["id"])
            arrays = store.arrays(trace.record.id)
            facts = _input_facts(store, trace.record)
            mark = store.marks.of([trace.record.id]).get(trace.record.id)
            alike = _alike(store, trace.record)
    except LookupError as error:
        return message(request, 404, "Not found", str(error.args[0]))
    record, row = trace.record, _chosen(request, trace.record)
    calibration = source.calibration(record.endpoint)
    context: dict[str, Any] = {
        "trace": trace,
        "record": record,
        "row": row,
        "summary": summary(record, row),
        "mark": mark,
        "mark_words": MARK_WORDS,
        "note_chars": NOTE_CHARS,
        "alike": alike,
        "stages": [] if row is None else stages_of(record, row, calibration),
        "spans": spans(record),
        "older": calibration is not None and calibration.version != record.version,
        "words": None if row is None else deciding(row, {} if calibration is None else calibration.kinds),
        **_input(record, row, arrays, facts, calibration),
        "curl": None if row is None else _curl(record, row, arrays, source.gateway_url),
    }
    return render(request, "request.html", **context)


def picture(request: Request) -> Response:
    """A row's input, purified input or their difference as PNG."""
    number, which = int(request.path_params["row"]), request.path_params["which"]
    try:
        with source_of(request).store() as store:
            record = store.get(request.path_params["id"]).record
            arrays, facts = store.arrays(record.id), _input_facts(store, record)
    except LookupError as error:
        return message(request, 404, "Not found", str(error.args[0]))
    kept = _kept(record, number, arrays)
    if kept is None or which not in _PICTURES or not is_image(facts) or (which != "input" and kept[1] is None):
        return message(request, 404, "Not found", "There is no such picture.")
    x, purified = kept
    if which == "input" or purified is None:
        drawn = draw(x, facts)
    else:
        drawn = draw(purified, facts) if which == "purified" else draw_difference(x, purified, facts)
    return _png(drawn)


def _png(drawn: Image.Image) -> Response:
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers={"cache-control": "private, max-age=3600"})


def example(request: Request) -> Response:
    """A reference row as PNG, drawn as the request's own rows are."""
    source = source_of(request)
    try:
        with source.store() as store:
            record = store.get(request.path_params["id"]).record
            facts = _input_facts(store, record)
    except LookupError as error:
        return message(request, 404, "Not found", str(error.args[0]))
    calibration, index = source.calibration(record.endpoint), int(request.path_params["index"])
    sample = None if calibration is None else calibration.sample
    alike = sample is not None and is_image(facts) and list(sample.x.shape[1:]) == facts.get("shape")
    if sample is None or not alike or not 0 <= index < len(sample):
        return message(request, 404, "Not found", "There is no such picture.")
    return _png(draw(sample.x[index], facts))


def arrays(request: Request) -> Response:
    """The kept rows as .npz."""
    try:
        with source_of(request).store() as store:
            trace = store.get(request.path_params["id"])
            found = store.arrays(trace.record.id)
    except LookupError as error:
        return message(request, 404, "Not found", str(error.args[0]))
    if not found:
        return message(request, 404, "Not kept", f"The rows of this request are not kept ({trace.payload}).")
    out = io.BytesIO()
    np.savez_compressed(out, row=np.array(trace.record.captured), **found)
    named = {"content-disposition": f'attachment; filename="{trace.record.id[:12]}.npz"'}
    return Response(out.getvalue(), media_type="application/octet-stream", headers=named)


async def mark(request: Request) -> Response:
    """Marks the request, or lifts its mark."""
    try:
        fields = await form(request)
        return await run_in_threadpool(_mark, request, fields)
    except OperatorError as error:
        return message(request, 403, "Not done", str(error))


def _mark(request: Request, fields: Mapping[str, str]) -> Response:
    word = next((word for word in MARK_WORDS if word == fields.get("word")), None)
    try:
        with source_of(request).store() as store:
            record = store.get(request.path_params["id"]).record
            if word is None:
                store.marks.lift(record.id)
            else:
                store.marks.put(record, word, fields.get("note", "").strip())
    except LookupError as error:
        return message(request, 404, "Not found", str(error.args[0]))
    logger.info("request %s marked %s in the console, from %s", record.id, word or "nothing", peer_of(request))
    return RedirectResponse(f"/requests/{record.id}#mark", 303)


def _chosen(request: Request, record: Record) -> RowEvidence | None:
    """The row that the address names, else the most suspicious one."""
    stated = request.query_params.get("row", "")
    named = next((row for row in record.row_evidence if str(row.row) == stated), None)
    return named or record.worst


def _input_facts(store: SqliteStore, record: Record) -> Mapping[str, Any]:
    return (store.chain(record.endpoint, record.version) or {}).get("input") or {}


def _kept(record: Record, number: int, arrays: Mapping[str, Array]) -> tuple[Array, Array | None] | None:
    """The row's input and purified input; None where it is not kept."""
    if "input" not in arrays or number not in record.captured:
        return None
    index = record.captured.index(number)
    row = next(row for row in record.row_evidence if row.row == number)
    purified = arrays.get("purified") if row.after is not None else None
    return arrays["input"][index], None if purified is None else purified[index]


def _input(
    record: Record,
    row: RowEvidence | None,
    arrays: Mapping[str, Array],
    facts: Mapping[str, Any],
    calibration: Calibration | None,
) -> dict[str, Any]:
    """How the row's input is shown, and the reference rows nearest to it."""
    kept = None if row is None else _kept(record, row.row, arrays)
    shown: dict[str, Any] = {"kept": kept is not None, "pictures": [], "values": [], "told": "", "plot": None}
    shown |= {"near": [], "near_plots": [], "typical": None, "sample": ""}
    if kept is None:
        return shown
    x, purified = kept
    sample = None if calibration is None else calibration.sample
    near = [] if sample is None else sample.nearest(x, _NEAR)
    beside = [] if sample is None else [sample.x[one.index] for one in near]
    if sample is not None and calibration is not None:
        shown |= {"near": near, "typical": sample.typical, "sample": calibration.version}
    if is_image(facts):
        shown["pictures"] = _PICTURES if purified is not None else _PICTURES[:1]
    elif facts.get("kind") == "series" and x.dtype.kind in "fiu":
        shown["plot"] = series(x, purified)
        shown["near_plots"] = [series(other, None) for other in beside]
    elif x.dtype.kind in "fiub":
        same = calibration if calibration is not None and calibration.version == record.version else None
        shown["values"] = values_of(x, purified, facts, same, beside[:_NEAR_COLUMNS])
        shown["told"] = told(shown["values"])
    return shown


def _curl(record: Record, row: RowEvidence, arrays: Mapping[str, Array], url: str) -> str | None:
    kept = _kept(record, row.row, arrays)
    if kept is None or any(role.startswith("extra:") for role in arrays):
        return None
    return curl(record, kept[0][None], url)


def _alike(store: SqliteStore, record: Record) -> dict[str, list[Trace]]:
    """Other requests with the same input, and others of the same principal."""
    same_input = store.find(Filter(digest=record.digest), _ALIKE + 1) if record.digest else []
    same_caller = store.find(Filter(principal=record.principal, verdicts=("flag", "reject", "error")), _ALIKE + 1)
    return {
        "input": [trace for trace in same_input if trace.record.id != record.id][:_ALIKE],
        "principal": [trace for trace in same_caller if trace.record.id != record.id][:_ALIKE],
    }
