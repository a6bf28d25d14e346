"""The door in front of a framework, and the worker behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.errors import OperatorError
from gateway.http.asgi import Application, Receive, Scope, Send
from gateway.http.door import Door, ours
from gateway.worker import CONFIG_VARIABLE, WORKERS_VARIABLE, Worker, workers
from tests import served


class Layer:
    """One of a framework's own layers; remembers which paths went through it."""

    paths: list[str] = []  # noqa: RUF012

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self.app(scope, receive, send)


async def theirs(request: Request) -> PlainTextResponse:
    return PlainTextResponse("theirs")


def framework(worker: Worker) -> Starlette:
    layers = [Middleware(Layer), Middleware(Door, worker=worker)]
    return Starlette(routes=[Route("/{path:path}", theirs)], middleware=layers)


async def ask(app: Any, path: str) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as client:
        return (await client.get(path)).text


async def start(app: Starlette) -> None:
    """The lifespan of a server that comes up and goes down."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        assert message["type"].endswith(".complete")

    await app({"type": "lifespan", "state": {}}, receive, send)


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/v2", True), ("/v2/models/m", True), ("/predict", True), ("/metrics", True)]
    + [(path, False) for path in ("/", "/v2x", "/predict/submit", "/readyz", "/schema.json", "/docs.json")],
)
def test_which_paths_are_ours(path: str, answer: bool) -> None:
    assert ours(path) is answer


async def test_our_paths_are_answered_before_any_layer_and_theirs_as_ever(tmp_path: Path) -> None:
    worker = Worker()
    app = framework(worker)
    Layer.paths.clear()
    assert await ask(app, "/v2") == "theirs"  # nothing is served yet
    worker.app = served.app(tmp_path, [served.endpoint("m", served.table_model(tmp_path))])
    assert "watchgate" in await ask(app, "/v2")
    assert Layer.paths == ["/v2", "/v2"]
    await start(app)
    assert "watchgate" in await ask(app, "/v2")
    assert Layer.paths == ["/v2", "/v2"]
    assert await ask(app, "/readyz") == "theirs"
    assert Layer.paths == ["/v2", "/v2", "/readyz"]


def test_the_number_of_workers_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    assert workers() == 1
    monkeypatch.setenv(WORKERS_VARIABLE, "3")
    assert workers() == 3
    for wrong in ("0", "-1", "many", ""):
        monkeypatch.setenv(WORKERS_VARIABLE, wrong)
        with pytest.raises(OperatorError, match="expected a number of at least 1"):
            workers()


def test_a_worker_without_a_config_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    with pytest.raises(OperatorError, match="WATCHGATE_CONFIG: expected the path of"):
        Worker().start()


async def test_stopping_what_never_started_is_nothing() -> None:
    await Worker().stop()
