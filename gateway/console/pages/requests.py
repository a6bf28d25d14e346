"""`/requests`: what was stopped, newest first, followed live."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.pages.query import AGES_S, Query
from gateway.console.rendering import message, render, source_of
from gateway.console.source import Source
from gateway.state.record import WORDS, Trace

PAGE_ROWS = 50


def page(request: Request) -> Response:
    """The list, and the form that narrows it."""
    query, source = Query.of(request), source_of(request)
    after = request.query_params.get("after")
    try:
        traces, marks, more = _listed(source, query, after)
    except LookupError:
        return message(request, 404, "No longer there", "The request that the page began after is no longer kept.")
    if query.fields["q"] and len(traces) == 1:
        return RedirectResponse(f"/requests/{traces[0].record.id}", 303)
    with source.store() as store:
        chains = store.chains()
    context: dict[str, Any] = {
        "query": query,
        "traces": traces,
        "marks": marks,
        "more": more,
        "after": after,
        "have": _digest(traces),
    }
    context |= _choices(chains)
    return render(request, "requests.html", **context, ages=list(AGES_S), words=WORDS)


def rows(request: Request) -> Response:
    """Only the list, for a page that is open; 204 where it has all of it already."""
    query = Query.of(request)
    traces, marks, more = _listed(source_of(request), query, None)
    have = _digest(traces)
    if request.query_params.get("have") == have:
        return Response(status_code=204)
    context: dict[str, Any] = {
        "query": query,
        "traces": traces,
        "marks": marks,
        "more": more,
        "after": None,
        "have": have,
    }
    return render(request, "requests_rows.html", **context)


def _listed(source: Source, query: Query, after: str | None) -> tuple[list[Trace], dict[str, str], str | None]:
    with source.store() as store:
        traces = store.find(query.filter(), PAGE_ROWS + 1, after)
        marks = store.marks.of(trace.record.id for trace in traces)
    more = traces[PAGE_ROWS - 1].record.id if len(traces) > PAGE_ROWS else None
    return traces[:PAGE_ROWS], {name: mark.word for name, mark in marks.items()}, more


def _digest(traces: list[Trace]) -> str:
    return hashlib.sha256("".join(trace.record.id for trace in traces).encode()).hexdigest()[:16]


def _choices(chains: list[tuple[str, dict[str, Any]]]) -> dict[str, list[str]]:
    """What there is to choose from in the drop-downs: of every chain that served."""
    return {
        "stages": sorted({stage["name"] for _, facts in chains for stage in facts["stages"]}),
        "served": sorted({endpoint for endpoint, _ in chains}),
    }
