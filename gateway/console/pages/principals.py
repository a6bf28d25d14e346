"""`/principals`: who asks, what of it was stopped, and whose like queries are marked; a mark can be lifted."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.pages.query import AGES_S
from gateway.console.rendering import form, message, peer_of, render, source_of
from gateway.console.source import Source
from gateway.errors import OperatorError
from gateway.metrics.meter import Numbers, key
from gateway.principals.callers import Caller, callers
from gateway.state.opening import principals_if_any

logger = logging.getLogger("watchgate.console")

PAGE_ROWS = 100
_DEFAULT = "24h"
_TEXT = 300
_MEMORY = {
    "asked": ("watchgate_query_rows_total", "rows that the memory was given"),
    "compared": ("watchgate_query_new_rows_total", "with what was remembered"),
    "alike": ("watchgate_query_alike_rows_total", "to earlier ones of their principal"),
    "passed over": ("watchgate_query_unsampled_rows_total", "beyond what may be compared"),
    "marked": ("watchgate_query_marks_total", "principals, ever"),
}


def page(request: Request) -> Response:
    """The whole page."""
    source, params = source_of(request), request.query_params
    age = params.get("age", _DEFAULT)
    age = age if age in AGES_S else _DEFAULT
    searched, marked = params.get("q", "").strip()[:_TEXT], "marked" in params
    found, marks = _found(source, AGES_S[age], searched, marked)
    context: dict[str, Any] = {
        "callers": found[:PAGE_ROWS],
        "digest": digest,
        "more": len(found) > PAGE_ROWS,
        "marks": marks,
        "measured": any(one.measures for one in found),
        "now_ns": time.time_ns(),
        "memory": _memory(source.numbers()),
        "remembered": any(endpoint.queries is not None for endpoint in source.config.endpoints.values()),
        "sampled": source.config.telemetry.sample_clean,
        "age": age,
        "ages": list(AGES_S),
        "searched": searched,
        "marked": marked,
    }
    return render(request, "principals.html", **context)


async def lift(request: Request) -> Response:
    """Takes a mark off."""
    try:
        fields = await form(request)
    except OperatorError as error:
        return message(request, 403, "Not done", str(error))
    return await run_in_threadpool(_lift, request, fields)


def _lift(request: Request, fields: Mapping[str, str]) -> Response:
    with principals_if_any(source_of(request).config) as store:
        marks = {} if store is None else store.marks(time.time_ns())
        name = next((name for name in marks if digest(name) == fields.get("principal")), None)
        lifted = store is not None and name is not None and store.lift(name)
    if not lifted:
        return message(request, 404, "Not marked", "This principal is not marked: the mark ended, or was lifted.")
    logger.info("mark on principal %r lifted in the console, from %s", name, peer_of(request))
    return RedirectResponse("/principals", 303)


def digest(name: str) -> str:
    """What stands for a principal in a form: a browser may change the characters of a hostile name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _found(source: Source, age_s: int, searched: str, marked: bool) -> tuple[list[Caller], int]:
    """Those whose names have the text in them, no more than a page can show and one; and how many are marked in all."""
    now_ns = time.time_ns()
    with principals_if_any(source.config) as known:
        marks = {} if known is None else known.marks(now_ns)
        queries = {} if known is None else known.queries()
        measures = [] if known is None else known.measures()
    since_ns = now_ns - age_s * 10**9
    with source.store() as store:
        kept = {} if marked else store.lists.callers(since_ns, most=PAGE_ROWS + 1, containing=searched)
        asked = [] if marked else queries  # the latest to ask first
        alike = [name for name in (*marks, *asked) if searched.lower() in name.lower()]
        wanted = list(dict.fromkeys([*alike[: len(marks) + PAGE_ROWS + 1], *kept]))
        kept |= store.lists.callers(since_ns, names=[name for name in wanted if name not in kept])
    held = frozenset(wanted)
    return callers(
        source.config,
        {name: mark for name, mark in marks.items() if name in held},
        {name: queries[name] for name in wanted if name in queries},
        kept,
        [each for each in measures if each.principal in held],
    ), len(marks)


def _memory(numbers: Numbers) -> list[tuple[str, float, str]]:
    """What the memory of queries was given, in figures; () where no endpoint has one."""
    found = [(said, numbers.get(key(name, {})), note) for said, (name, note) in _MEMORY.items()]
    return [(said, value, note) for said, value, note in found if value is not None]
