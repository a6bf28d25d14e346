"""One request as the app sees it, and the observation it becomes."""

from __future__ import annotations

import os
import time

from gateway.errors import MethodNotAllowed, Refusal, Unauthorized
from gateway.http.asgi import Scope
from gateway.http.judging import Served
from gateway.telemetry.observation import ChainInfo, Observation
from gateway.verdict import Judged
from gateway.wire.envelope import Envelope
from gateway.wire.response import JSON, Header, error_body

UNREAD = Envelope()
Reply = tuple[int, list[Header], bytes]


class Ids:
    """Random ids, 16 bytes in hex; the system is asked for many at a time."""

    def __init__(self) -> None:
        self._left: list[str] = []

    def next(self) -> str:
        """A new one."""
        if not self._left:
            drawn = os.urandom(16 * 256).hex()
            self._left = [drawn[start : start + 32] for start in range(0, len(drawn), 32)]
        return self._left.pop()


_IDS = Ids()
os.register_at_fork(after_in_child=_IDS.__init__)  # type: ignore[misc] # a child must not repeat its parent's


class Call:
    """Who asked what, since when. `id` is 16 random bytes in hex: the trace's id as well."""

    __slots__ = (
        "body_bytes",
        "coarse",
        "envelope",
        "id",
        "name",
        "request_id",
        "route",
        "scope",
        "served",
        "started_ns",
    )

    def __init__(self, scope: Scope, route: str, served: Served | None) -> None:
        self.started_ns = time.time_ns()
        self.id = _IDS.next()
        self.scope = scope
        self.route = route
        self.served = served
        self.envelope = UNREAD
        self.body_bytes = -1  # unread
        self.request_id: str | None = None
        self.name: str | None = None  # of the principal, where it is not the peer
        self.coarse = False

    @property
    def principal(self) -> str:
        """Who calls: as admission found, else the peer."""
        return self.peer if self.name is None else self.name

    @property
    def peer(self) -> str:
        """The peer's address, empty where the socket has none."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def allow(self, method: str) -> None:
        """Raises MethodNotAllowed for any other method."""
        if self.scope["method"] != method:
            raise MethodNotAllowed(f"expected {method}, found {self.scope['method'][:16]}")

    def headers(self, media: Header, body: bytes) -> list[Header]:
        """The headers of an answer with this body."""
        return [media, (b"content-length", b"%d" % len(body))]

    def refusal(self, refusal: Refusal) -> Reply:
        """The answer to a request that is refused. A body that wasn't read to its end closes the connection."""
        body = error_body(str(refusal), self.id)
        headers = self.headers(JSON, body)
        if refusal.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
        if isinstance(refusal, Unauthorized):
            headers.append((b"www-authenticate", b"Bearer"))
        if isinstance(refusal, MethodNotAllowed):
            headers.append((b"allow", str(refusal).split()[1].rstrip(",").encode()))
        if self.body_bytes < 0 and self.scope["method"] == "POST":
            headers.append((b"connection", b"close"))
        return refusal.status, headers, body

    def failure(self) -> Reply:
        """The answer when the gateway itself is at fault."""
        body = error_body("the gateway failed; its log says why", self.id)
        return 500, [*self.headers(JSON, body), (b"connection", b"close")], body

    def observation(self, chain: ChainInfo, judged: Judged | None, status: int, error: str | None) -> Observation:
        """What the recorder is told."""
        seen = self.envelope
        return Observation(
            self.id,
            chain,
            self.started_ns,
            time.time_ns(),
            self.principal,
            self.route,
            status,
            judged,
            error,
            self.request_id,
            seen.traceparent,
            seen.user_agent,
            self.body_bytes,
        )
