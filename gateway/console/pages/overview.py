"""`/`: how every endpoint does, and the gateway itself."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from gateway.console import timeline
from gateway.console.overview import RANGES_S, health, overview
from gateway.console.rendering import render, source_of

_DEFAULT = "1h"


def page(request: Request) -> Response:
    """The whole page; with `?part=1` only what changes."""
    source = source_of(request)
    stated = request.query_params.get("range", _DEFAULT)
    range_ = stated if stated in RANGES_S else _DEFAULT
    now_s = time.time()
    seen = [overview(source, name, RANGES_S[range_], now_s) for name in source.config.endpoints]
    plots = {
        one.endpoint: (timeline.shares(one, now_s), timeline.rate(one, now_s), timeline.latency(one, now_s))
        for one in seen
    }
    template = "overview_part.html" if "part" in request.query_params else "overview.html"
    return render(request, template, seen=seen, plots=plots, health=health(source), range=range_, ranges=RANGES_S)
