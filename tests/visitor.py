"""Somebody with a browser and no patience: asks an ASGI app in this very process, cookies kept."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any

import httpx
from starlette.types import ASGIApp


class Visitor:
    """Use as a context manager. `base_url` names the host that is asked for."""

    def __init__(self, app: ASGIApp, base_url: str, *, follow_redirects: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app=app)
        self._http = httpx.AsyncClient(transport=transport, base_url=base_url, follow_redirects=follow_redirects)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """GET."""
        return self._wait(self._http.get(path, headers=headers))

    def post(self, path: str, data: Mapping[str, str], headers: Mapping[str, str] | None = None) -> httpx.Response:
        """POST of a form."""
        return self._wait(self._http.post(path, data=dict(data), headers=headers))

    def _wait(self, asking: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        return self._loop.run_until_complete(asking)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run_until_complete(self._http.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
