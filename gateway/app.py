"""The gateway's ASGI app: routes, bodies, answers. Knows no BentoML, and no web framework either: both cost too much.

    GET  /v2                                          what this server is
    GET  /v2/health/live, /v2/health/ready            200; ready is 503 while shutting down
    GET  /v2/models/{m}[/versions/{v}]                inputs and outputs
    GET  /v2/models/{m}[/versions/{v}]/ready
    POST /v2/models/{m}[/versions/{v}]/infer          Open Inference Protocol, JSON or binary
    POST /predict                                     plain JSON rows, or one image
    POST /v2/models/{m}/feedback                      true labels of rows that were answered
    GET  /metrics                                     Prometheus; `telemetry.metrics` says to whom

Every answer carries a server-made id in the header `x-watchgate-id`, which is also its trace's id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from urllib.parse import parse_qs

from gateway.chain import StageFailed
from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.errors import NotFound, Refusal, TooLarge, Unavailable
from gateway.http.asgi import Receive, Scope, Send
from gateway.http.body import Bodies, Disconnected
from gateway.http.call import Call, Reply
from gateway.http.judging import Served
from gateway.http.pages import feedback_paths, pages, paths, readiness
from gateway.http.telling import Teller
from gateway.metrics.drift import drift_of
from gateway.metrics.opening import open_push
from gateway.metrics.scrape import Scrape, is_local
from gateway.principals.admission import Admission
from gateway.telemetry.observation import Recorder
from gateway.tracking.tracker import Tracker
from gateway.wire import envelope, feedback, plain
from gateway.wire.response import JSON, Header

INFER = "/v2/models/{model}/infer"
FEEDBACK = "/v2/models/{model}/feedback"
PREDICT = "/predict"
TEXT: Header = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
PUSHED_S = 2.0  # at most, for the last numbers
_log = logging.getLogger("watchgate")

Handler = Callable[[Call, Receive], Awaitable[Reply]]


def build(config: Config, endpoints: Mapping[str, Endpoint], recorder: Recorder, tracker: Tracker | None = None) -> App:
    """The app that serves these endpoints and tells the recorder, and the tracker if there is one, of every verdict."""
    return App(config, {name: Served(endpoint) for name, endpoint in endpoints.items()}, recorder, tracker)


class App:
    """An ASGI application."""

    def __init__(
        self, config: Config, endpoints: Mapping[str, Served], recorder: Recorder, tracker: Tracker | None = None
    ) -> None:
        self._endpoints = endpoints
        self._teller = Teller(recorder, tracker)
        self._tracker = tracker
        self._admission = Admission.of(config, tracker)
        self._metrics = config.telemetry.metrics
        self._scrape = Scrape(
            config.state.path / "metrics",
            tuple(endpoints.values()),
            getattr(recorder, "stats", dict),
            dict if tracker is None else tracker.stats,
            lambda numbers: open_push(config.telemetry, numbers),
            lambda: drift_of(tracker),
        )
        limits = [served.limits for served in endpoints.values()]
        self._max_body_bytes = max(each.max_body_bytes for each in limits)
        self._bodies = Bodies(max(each.timeout_ms for each in limits) / 1e3)
        self._infer_paths = {f"{path}/infer": served for served in endpoints.values() for path in paths(served)}
        self._feedback_paths = feedback_paths(endpoints) if tracker is not None and tracker.desk is not None else {}
        self._pages = pages(endpoints)
        self._readiness = readiness(endpoints)
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's lifespan."""
        if scope["type"] == "http":
            served = self._infer_paths.get(scope["path"])
            if served is not None and scope["method"] == "POST":
                await self._answer(Call(scope, INFER, served), send, self._infer, receive)
            else:
                await self._answer(Call(scope, scope["path"], None), send, self._route, receive)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def start(self) -> None:
        """Begins to keep numbers on disk; call it in the event loop."""
        self._scrape.start()

    async def drain(self, timeout_s: float) -> None:
        """Refuses new requests, answers those that were accepted, and writes the last numbers."""
        self._draining = True
        for served in self._endpoints.values():
            await served.batcher.drain(timeout_s)
        self._scrape.close()
        if self._scrape.push is not None:
            await asyncio.to_thread(self._scrape.push.close, PUSHED_S)

    async def _answer(self, call: Call, send: Send, handler: Handler, receive: Receive) -> None:
        try:
            status, headers, body = await handler(call, receive)
        except Disconnected:
            return
        except Exception as exc:
            status, headers, body = self._failed(call, exc)
        headers.append((b"x-watchgate-id", call.id.encode()))
        if call.served is not None:
            call.served.meter.answered(status, (time.time_ns() - call.started_ns) / 1e9)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _failed(self, call: Call, exc: Exception) -> Reply:
        """The reply to a request that got no answer."""
        served = call.served
        if isinstance(exc, StageFailed) and served is not None:
            self._teller.offer(call, served, None, Unavailable.status, str(exc))
            exc = Unavailable("the request could not be judged")
        if not isinstance(exc, Refusal):
            _log.error("request %s failed", call.id, exc_info=exc)
            return call.failure()
        if served is not None:
            served.meter.refusals[type(exc).__name__] += 1
        return call.refusal(exc)

    async def _infer(self, call: Call, receive: Receive) -> Reply:
        served = call.served
        assert served is not None  # the route was found by its endpoint
        seen = call.envelope = envelope.read(call.scope["headers"])
        envelope.check(seen, envelope.TENSORS, served.limits.max_body_bytes)
        if self._draining:
            raise Unavailable("the gateway is shutting down")
        if self._admission is not None and (wait := self._admission.admit(call, served)) is not None:
            await wait
        body = await self._bodies.read(receive, served.limits.max_body_bytes)
        call.body_bytes = len(body)
        plan, tensors = served.reader.read(body, seen.header_bytes)
        call.request_id = plan.id or None
        batch = served.batch(tensors)
        judged = served.batcher.at_once(batch) or await served.batcher.submit(batch)
        worst = served.meter.judged(judged.verdicts)
        try:
            certified = await served.certify(batch, judged) if plan.certify and not call.coarse else None
            writer = served.coarse if call.coarse else served.writer
            headers, content = writer.write(judged, worst, plan.wanted, plan.id, certified)
        except Refusal as refusal:
            return await self._teller.told(call, served, judged, worst, call.refusal(refusal))
        return await self._teller.told(call, served, judged, worst, (200, headers, content))

    async def _predict(self, call: Call, receive: Receive) -> Reply:
        seen = call.envelope = envelope.read(call.scope["headers"])
        envelope.check(seen, envelope.PLAIN | envelope.IMAGES, self._max_body_bytes)
        if self._draining:
            raise Unavailable("the gateway is shutting down")
        body = await self._bodies.read(receive, self._max_body_bytes)
        call.body_bytes = len(body)
        query = parse_qs(call.scope.get("query_string", b"").decode("latin-1"))
        named, certify = query.get("endpoint", [""])[-1], query.get("certify", [""])[-1] == "true"
        if seen.media in envelope.IMAGES:
            served = call.served = self._named(named, body)
            tensors = plain.image(served.signature, body)
        else:
            request = plain.parse(body)
            served = call.served = self._named(request.endpoint or named, body)
            tensors = plain.tensors(served.signature, request)
            certify = certify or request.certify
        if self._admission is not None and (wait := self._admission.admit(call, served)) is not None:
            await wait
        batch = served.batch(tensors)
        if certify:
            served.signature.check_certify(len(batch))
        judged = await served.batcher.submit(batch)
        worst = served.meter.judged(judged.verdicts)
        try:
            certified = await served.certify(batch, judged) if certify and not call.coarse else None
            writer = served.coarse if call.coarse else served.writer
            content = writer.plain(judged, worst, call.id, certified)
        except Refusal as refusal:
            return await self._teller.told(call, served, judged, worst, call.refusal(refusal))
        return await self._teller.told(call, served, judged, worst, (200, call.headers(JSON, content), content))

    async def _feedback(self, call: Call, served: Served, receive: Receive) -> Reply:
        """True labels: of the caller's own answers, or of anybody's with an operator's key."""
        call.envelope = envelope.read(call.scope["headers"])
        envelope.check(call.envelope, envelope.PLAIN, served.limits.max_body_bytes)
        if self._draining:
            raise Unavailable("the gateway is shutting down")
        operator = self._admission is not None and self._admission.identify(call)
        body = await self._bodies.read(receive, served.limits.max_body_bytes)
        call.body_bytes = len(body)
        labels = feedback.parse(body)
        assert self._tracker is not None  # without one there is no such path
        assert self._tracker.desk is not None
        principal = None if operator else call.principal
        content = feedback.written(await self._tracker.desk.take(served.endpoint.name, principal, labels))
        return 200, call.headers(JSON, content), content

    def _named(self, name: str, body: bytes) -> Served:
        if not name and len(self._endpoints) == 1:
            name = next(iter(self._endpoints))
        served = self._endpoints.get(name)
        if served is None:
            raise NotFound(f"endpoint: expected one of {', '.join(self._endpoints)}, found {name[:64]!r}")
        if len(body) > served.limits.max_body_bytes:
            raise TooLarge(f"body: expected at most {served.limits.max_body_bytes} bytes, found {len(body)}")
        return served

    async def _route(self, call: Call, receive: Receive) -> Reply:
        path = call.route
        if path == PREDICT:
            call.allow("POST")
            return await self._predict(call, receive)
        if (taking := self._feedback_paths.get(path)) is not None:
            call.route = FEEDBACK
            call.allow("POST")
            return await self._feedback(call, taking, receive)
        known = path in self._pages or path in self._readiness or path == "/metrics"
        call.route = path if known else "unknown"
        if path in self._infer_paths:
            call.allow("POST")
        if not known:
            raise NotFound(_unknown(path, self._endpoints))
        call.allow("GET")
        return self._page(call, path)

    def _page(self, call: Call, path: str) -> Reply:
        if path == "/metrics":
            if not self._may_read_numbers(call):
                raise NotFound(_unknown(path, self._endpoints))
            content = self._scrape.page()
            return 200, call.headers(TEXT, content), content
        if path in self._readiness and self._draining:
            raise Unavailable("the gateway is shutting down")
        content = self._pages.get(path, b'{"ready":true}')
        return 200, call.headers(JSON, content), content

    def _may_read_numbers(self, call: Call) -> bool:
        if self._metrics != "local" or self._admission is None:
            return self._metrics == "all" or (self._metrics == "local" and is_local(call.peer))
        return is_local(self._admission.address(call)) or self._admission.is_operator(call)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol, for servers that run the app by itself."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.drain(20.0)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _unknown(path: str, endpoints: Collection[str]) -> str:
    parts = path.split("/")
    if path.startswith("/v2/models/") and parts[3] not in endpoints:
        return f"no model {parts[3][:64]!r}"
    if len(parts) > 5 and parts[4] == "versions":
        return f"model {parts[3]!r}: no version {parts[5][:64]!r}"
    return f"nothing at {path[:128]!r}"
