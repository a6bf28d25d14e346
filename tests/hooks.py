"""An HTTP server that takes webhooks: keeps what it was sent, and answers as it is told to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Post:
    """One request; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Hooks:
    """`statuses` are answered first, one a request, then 204. A 3xx leads to `/elsewhere`."""

    def __init__(self, *statuses: int, wait: threading.Event | None = None) -> None:
        self.posts: list[Post] = []
        self.statuses = list(statuses)
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hooks.posts.append(Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if wait is not None:
                    wait.wait(10)
                self.send_response(hooks.statuses.pop(0) if hooks.statuses else 204)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> Hooks:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
