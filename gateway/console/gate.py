"""The console's outer layer: refuses strange hosts, asks for a sign-in, and puts safety headers on every answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.console.access import COOKIE, Access

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_OPEN = ("/sign-in", "/static/")
_FIXED = "private, max-age=31536000, immutable"


class Gate:
    """ASGI middleware around all pages."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", _FIXED if _is_fixed(scope) else "no-store")
            await send(message)

        answer = self._refusal(HTTPConnection(scope))
        await (answer or self._app)(scope, receive, guarded)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        host = request.headers.get("host", "")
        if not self._access.knows_host(host):
            return PlainTextResponse("421: this console answers to 127.0.0.1 and localhost only", 421)
        writes = request.scope["method"] not in ("GET", "HEAD")
        if writes and request.headers.get("origin", f"//{host}").split("//")[-1] != host:
            return PlainTextResponse("403: the form was sent from another site", 403)
        path = request.scope["path"]
        if path.startswith(_OPEN) or self._access.may_enter(request.cookies.get(COOKIE, "")):
            return None
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-redirect": "/sign-in"})
        return RedirectResponse("/sign-in", 303)


def _is_fixed(scope: Scope) -> bool:
    """Whether the address names one very content of a static file."""
    return bool(scope["path"].startswith("/static/") and scope["query_string"].startswith(b"v="))
