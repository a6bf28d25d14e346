"""Whose mistake it was: requests that are refused, and stages and code that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from detectors.base import View
from models.batch import Array
from tests import served
from tests.guarded import HEX, INFER, X, body, rows, serving
from tests.served import Listed
from tests.wired import tensor


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/v2/models/other", 404, "no model 'other'"),
        ("POST", "/v2/models/other/infer", 404, "no model 'other'"),
        ("GET", "/v2/models/m/versions/7", 404, "model 'm': no version '7'"),
        ("POST", "/v2/models/m/versions/7/infer", 404, "no version '7'"),
        ("GET", "/v2/models/m/nothing", 404, "nothing at '/v2/models/m/nothing'"),
        ("GET", "/v2/models/", 404, "no model ''"),
        ("GET", "/", 404, "nothing at '/'"),
        ("GET", "/v2/" + "x" * 1000, 404, "nothing at"),
        ("GET", INFER, 405, "expected POST, found GET"),
        ("DELETE", INFER, 405, "expected POST, found DELETE"),
        ("POST", "/v2", 405, "expected GET, found POST"),
        ("GET", "/predict", 405, "expected POST"),
    ],
)
async def test_other_paths_and_methods(tmp_path: Path, method: str, path: str, status: int, told: str) -> None:
    async with serving(tmp_path) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert told in response.json()["error"]
    assert len(response.text) < 400
    assert HEX.fullmatch(response.json()["id"])
    assert response.headers["x-watchgate-id"] == response.json()["id"]
    if status == 405:
        assert response.headers["allow"] == ("GET" if path == "/v2" else "POST")


@pytest.mark.parametrize("path", [INFER, "/predict"])
async def test_bad_bodies_never_reach_the_model(tmp_path: Path, path: str) -> None:
    recorder = Listed()
    async with serving(tmp_path, recorder, limits={"max_body_bytes": 5000, "max_request_rows": 8}) as client:
        for content, headers, status in [
            (b"", {}, 400),
            (b"[", {}, 400),
            (b"\xff", {}, 400),
            (b"[" * 4000, {}, 400),
            (b'{"x": [[NaN]]}', {}, 400),
            (b"{}", {"content-type": "text/plain"}, 415),
            (b"{}", {"content-encoding": "gzip"}, 415),
            (b"{}", {"inference-header-content-length": "x"}, 400),
            (b"x" * 5001, {}, 413),
        ]:
            response = await client.post(path, content=content, headers=headers)
            assert response.status_code == status, (content[:20], headers, response.text)
            assert set(response.json()) == {"error", "id"}
    assert recorder.seen == []


async def test_chunked_bodies_are_counted_as_they_come(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    async with serving(tmp_path, limits={"max_body_bytes": 5000}) as client:
        response = await client.post(INFER, content=endless())
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_too_many_rows_are_too_large(tmp_path: Path) -> None:
    async with serving(tmp_path, limits={"max_request_rows": 3}) as client:
        response = await client.post(INFER, json=body(X))
    assert response.status_code == 413


async def test_what_the_model_itself_refuses_is_the_callers_mistake(tmp_path: Path) -> None:
    recorder = Listed()
    spec, backend = served.token_model(tmp_path)
    app = served.app(tmp_path, [served.endpoint("m", (spec, backend))], recorder)
    async with served.client(app) as client:

        async def ask(*ids: int) -> httpx.Response:
            given = {"inputs": [tensor([list(ids)], (1, 4), datatype="INT64")]}
            return await client.post(INFER, json=given)

        good, bad, also_good = await asyncio.gather(ask(1, 2, 3, 4), ask(1, 2, 3, 10), ask(0, 0, 0, 9))
    assert (good.status_code, bad.status_code, also_good.status_code) == (200, 400, 200)
    assert "the model can't be run on these values" in bad.json()["error"]
    assert len(recorder.seen) == 2


async def test_the_same_where_a_stage_was_the_first_to_run_the_model(tmp_path: Path) -> None:
    class Reads(served.Largest):
        def score(self, view: View) -> Array:
            assert view.outputs.logits is not None
            return view.outputs.logits[:, 0]

    spec, backend = served.token_model(tmp_path)
    chain = served.guarded(backend)
    stage = type(chain.stages[0])("reads", Reads("reads"), chain.stages[0].tail)
    guarded = type(chain)(backend, (stage,), chain.policy)
    async with served.client(served.app(tmp_path, [served.endpoint("m", (spec, backend), guarded)])) as client:
        response = await client.post(INFER, json={"inputs": [tensor([[1, 2, 3, 99]], (1, 4), datatype="INT64")]})
    assert response.status_code == 400


def failing(when: Callable[[Array], bool]) -> Any:
    class Failing(served.Largest):
        def score(self, view: View) -> Array:
            if when(view.x):
                raise ArithmeticError("planted")
            return super().score(view)

    return Failing


async def test_a_stage_that_fails_refuses_its_request_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "Largest", failing(lambda x: bool((x == 0.5).any())))
    recorder = Listed()
    async with serving(tmp_path, recorder) as client:
        given = [rows(0.0), rows(0.5), rows(0.95)]
        statuses = [
            response.status_code
            for response in await asyncio.gather(*[client.post(INFER, json=body(x)) for x in given])
        ]
    assert statuses == [200, 503, 403]
    [failed] = [seen for seen in recorder.seen if seen.judged is None]
    assert failed.status == 503
    assert failed.error is not None
    assert "planted" in failed.error


async def test_a_mistake_of_our_own_is_a_500_with_an_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec, backend = served.table_model(tmp_path)
    app = served.app(tmp_path, [served.endpoint("m", (spec, backend))])
    app._endpoints["m"].writer.write = None  # type: ignore[assignment,method-assign]
    async with served.client(app) as client:
        response = await client.post(INFER, json=body(X))
    assert response.status_code == 500
    assert response.json()["id"] in caplog.text
    assert "NoneType" not in response.text
