"""Pages that were just made are served again from memory: reloading fast costs the endpoint's machine nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.cookies import SimpleCookie

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.console.access import COOKIE

KEPT_S = 0.5
_MOST = 64  # pages
_LARGEST = 2**20  # bytes of a page that is kept
_PAGE = b"text/html"

Key = tuple[str, bytes, str, bool]


@dataclass(frozen=True, slots=True)
class _Page:
    made_s: float
    messages: tuple[Message, ...]


class Recent:
    """ASGI middleware behind the gate: the same address of the same session, asked for again within `KEPT_S`.

    Whatever is written (a mark, a sign-out) makes all pages old.
    """

    def __init__(self, app: ASGIApp, kept_s: float = KEPT_S) -> None:
        self._app = app
        self._kept_s = kept_s
        self._pages: dict[Key, _Page] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            self._pages.clear()  # afterwards: a page made meanwhile may not know of it
            return
        key, now_s = _key(scope), time.monotonic()
        page = self._pages.get(key)
        if page is not None and now_s - page.made_s < self._kept_s:
            for message in page.messages:
                await send(_copied(message))
            return
        said: list[Message] = []

        async def heard(message: Message) -> None:
            said.append(_copied(message))
            await send(message)

        await self._app(scope, receive, heard)
        self._keep(key, _Page(now_s, tuple(said)))

    def _keep(self, key: Key, page: _Page) -> None:
        start, *parts = page.messages
        whole = start["status"] == 200 and dict(start["headers"]).get(b"content-type", b"").startswith(_PAGE)
        if not whole or sum(len(part.get("body", b"")) for part in parts) > _LARGEST:
            return
        self._pages.pop(key, None)
        self._pages[key] = page
        while len(self._pages) > _MOST:
            del self._pages[next(iter(self._pages))]


def _key(scope: Scope) -> Key:
    headers = dict(scope["headers"])
    cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    session = cookies[COOKIE].value if COOKIE in cookies else ""
    return scope["path"], scope["query_string"], session, b"hx-request" in headers


def _copied(message: Message) -> Message:
    """Its own list of headers: outer layers add to it."""
    return {**message, "headers": list(message["headers"])} if "headers" in message else dict(message)
