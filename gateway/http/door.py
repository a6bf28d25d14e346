"""The way in: an ASGI middleware that answers our own paths and lets all others through."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from gateway.http.asgi import Application, Receive, Scope, Send
from gateway.worker import Worker

PATHS = ("/v2", "/predict", "/metrics")


def ours(path: str) -> bool:
    """Whether the gateway answers this path itself."""
    return path in PATHS or path.startswith("/v2/")


class Door:
    """Stands in front of another app.

    Frameworks wrap each added middleware in layers of their own (tracing, timers), which cost more than the whole
    gateway. So, once the framework has started up, the door moves in front of them all.
    """

    def __init__(self, app: Application, worker: Worker) -> None:
        self.inner = app
        self.worker = worker

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """An ASGI application."""
        app = self.worker.app
        if app is not None and scope["type"] == "http" and ours(scope["path"]):
            return app(scope, receive, send)
        if scope["type"] == "lifespan":
            self._move_out(scope.get("app"))
        return self.inner(scope, receive, send)

    def _move_out(self, framework: Any) -> None:
        layers = getattr(framework, "middleware_stack", None)  # Starlette's, built before its lifespan begins
        if callable(layers):
            framework.middleware_stack = Door(layers, self.worker)
