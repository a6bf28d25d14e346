"""`/requests`: what was stopped, newest first, followed live; or put together by principal or input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.pages.query import AGES_S, TOGETHER, Query
from gateway.console.rendering import lines_of, message, render, source_of
from gateway.state.lists import Group
from gateway.state.record import WORDS

PAGE_ROWS = 50
_Stamp = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """What one page of the list shows: lines, or groups of requests. `more` is where the next page begins."""

    ids: tuple[str, ...]
    lines: tuple[Markup, ...]
    groups: tuple[Group, ...]
    more: str | None
    digest: str


def page(request: Request) -> Response:
    """The list, and the form that narrows it."""
    query, source = Query.of(request), source_of(request)
    after = request.query_params.get("after")
    try:
        listed = _listed(request, query, after)
    except LookupError:
        return message(request, 404, "No longer there", "The request that the page began after is no longer kept.")
    if query.fields["q"] and len(listed.ids) == 1:
        return RedirectResponse(f"/requests/{listed.ids[0]}", 303)
    with source.store() as store:
        chains = store.chains()
    return render(
        request,
        "requests.html",
        **_shown(query, listed, after),
        **_choices(chains),
        ages=list(AGES_S),
        words=WORDS,
        together=TOGETHER,
    )


def rows(request: Request) -> Response:
    """Only the list, for a page that is open; 204 where it has all of it already."""
    query, source = Query.of(request), source_of(request)
    known: dict[str, tuple[_Stamp, str]] = request.app.state.answered
    have, address = request.query_params.get("have"), query.address()
    with source.store() as store:
        stamp = (source.opened, *store.lists.stamp, query.filter().since_ns)
    if have is not None and known.get(address) == (stamp, have):
        return Response(status_code=204)  # nothing was written since: the store need not be asked
    listed = _listed(request, query, None)
    known[address] = (stamp, listed.digest)
    while len(known) > 256:
        del known[next(iter(known))]
    if have == listed.digest:
        return Response(status_code=204)
    return render(request, "requests_rows.html", **_shown(query, listed, None))


def _listed(request: Request, query: Query, after: str | None) -> Listed:
    wanted = query.filter()
    with source_of(request).store() as store:
        if query.by is not None:
            groups = store.lists.groups(wanted, query.by, PAGE_ROWS)
            return Listed((), (), tuple(groups), None, _digest(map(str, groups)))
        ids = store.lists.ids(wanted, PAGE_ROWS + 1, after)
        shown = ids[:PAGE_ROWS]
        marks = {name: str(mark.word) for name, mark in store.marks.of(shown).items()}
        lines = lines_of(request).of(shown, marks, store.lists.traces)
    more = ids[PAGE_ROWS - 1] if len(ids) > PAGE_ROWS else None
    return Listed(
        tuple(shown), tuple(lines), (), more, _digest(f"{name}{marks.get(name, '')}" for name in (*shown, str(more)))
    )


def _shown(query: Query, listed: Listed, after: str | None) -> dict[str, Any]:
    return {
        "query": query,
        "lines": listed.lines,
        "groups": listed.groups,
        "more": listed.more,
        "after": after,
        "have": listed.digest,
    }


def _digest(parts: Any) -> str:
    return hashlib.sha256(" ".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _choices(chains: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What there is to choose from in the drop-downs: of every chain that served."""
    return {
        "stages": sorted({stage["name"] for _, facts in chains for stage in facts["stages"]}),
        "served": sorted({endpoint for endpoint, _ in chains}),
    }
