"""The console as an ASGI app."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.console.access import Access
from gateway.console.gate import Gate
from gateway.console.pages import calibration, drift, overview, principals, request, requests, signin
from gateway.console.recent import KEPT_S, Recent
from gateway.console.rendering import lines, message
from gateway.console.sampler import Sampler
from gateway.console.source import Source
from gateway.errors import OperatorError
from gateway.state.store import StoreError

_ID = "{id:str}"
_UNREADABLE = (StoreError, OperatorError, sqlite3.Error, OSError)  # of the store and the metrics files


def build(source: Source, access: Access, *, sampling: bool = True, kept_s: float = KEPT_S) -> Starlette:
    """The app; with `sampling` it also writes counters down while it runs. Pages are served again for `kept_s`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sampler = Sampler(source)
        if sampling:
            sampler.start()
        yield
        sampler.stop()
        source.close()

    app = Starlette(
        routes=[
            Route("/", overview.page),
            Route("/requests", requests.page),
            Route("/requests/rows", requests.rows),
            Route(f"/requests/{_ID}", request.page),
            Route(f"/requests/{_ID}/rows.npz", request.arrays),
            Route(f"/requests/{_ID}/mark", request.mark, methods=["POST"]),
            Route(f"/requests/{_ID}/example-{{index:int}}.png", request.example),
            Route(f"/requests/{_ID}/{{row:int}}/{{which:str}}.png", request.picture),
            Route("/principals", principals.page),
            Route("/principals/lift", principals.lift, methods=["POST"]),
            Route("/drift", drift.page),
            Route("/calibration/{endpoint:str}", calibration.page),
            Route("/calibration/{endpoint:str}/suggested.yaml", calibration.suggestion),
            Route("/sign-in", signin.page, methods=["GET"]),
            Route("/sign-in", signin.sign_in, methods=["POST"]),
            Route("/sign-out", signin.sign_out, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Gate, access=access), Middleware(Recent, kept_s=kept_s)],
        exception_handlers={HTTPException: _http, **dict.fromkeys(_UNREADABLE, _store)},
        lifespan=lifespan,
    )
    app.state.source, app.state.access = source, access
    app.state.lines, app.state.answered = lines(), {}
    return app


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return message(request, status, "Not found" if status == 404 else f"Error {status}", "There is no such page.")


def _store(request: Request, error: Exception) -> Response:
    return message(request, 503, "The store can't be read now", str(error))
