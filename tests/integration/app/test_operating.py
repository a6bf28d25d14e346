"""What operators and their programs see of the app: health, metrics, ids, the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.app import App
from tests import served
from tests.guarded import INFER, X, body, rows, serving


async def test_the_server_tells_what_it_serves(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        about = await client.get("/v2")
        model = await client.get("/v2/models/m")
        version = model.json()["versions"][0]
        ok = ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", f"/v2/models/m/versions/{version}"]
        ok += [f"/v2/models/m/versions/{version}/ready", f"/v2/models/m/versions/{served.VERSION}"]
        assert [(await client.get(path)).status_code for path in ok] == [200] * len(ok)
        inferred = await client.post(f"/v2/models/m/versions/{version}/infer", json=body(X))
    assert about.json()["name"] == "watchgate"
    assert "binary_tensor_data" in about.json()["extensions"]
    assert model.json()["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 12]}]
    assert model.json()["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}]
    assert inferred.json()["model_version"] == version


async def test_metrics_add_up_and_are_for_those_they_are_meant_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.post(INFER, json=body(rows(0.0, 0.85, 0.95)))
        await client.post(INFER, json={"inputs": []})
        page = (await client.get("/metrics")).text
    assert 'watchgate_rows_total{action="reject",endpoint="m"} 1.0' in page
    assert 'watchgate_requests_total{endpoint="m",status="400"} 1.0' in page
    assert 'watchgate_refusals_total{endpoint="m",reason="BadRequest"} 1.0' in page
    endpoint = served.endpoint("m", served.table_model(tmp_path))
    for who, metrics, status in [
        ("127.0.0.1", "local", 200),
        ("::1", "local", 200),
        ("10.1.2.3", "local", 404),
        ("10.1.2.3", "all", 200),
        ("127.0.0.1", "off", 404),
    ]:
        async with served.client(served.app(tmp_path, [endpoint], metrics=metrics), who) as client:
            assert (await client.get("/metrics")).status_code == status, (who, metrics)


async def test_draining_refuses_new_requests_and_answers_old_ones(tmp_path: Path) -> None:
    app = served.app(tmp_path, [served.endpoint("m", served.table_model(tmp_path))])
    async with served.client(app) as client:
        early = asyncio.create_task(client.post(INFER, json=body(X)))
        while not app._endpoints["m"].batcher.queued_rows:
            await asyncio.sleep(0)
        await app.drain(5.0)
        late = await client.post(INFER, json=body(X))
        ready = await client.get("/v2/health/ready")
        live = await client.get("/v2/health/live")
    assert (await early).status_code == 200
    assert (late.status_code, ready.status_code, live.status_code) == (503, 503, 200)


async def test_ids_are_never_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        found = {(await client.get("/v2")).headers["x-watchgate-id"] for _ in range(600)}
    assert len(found) == 600


async def test_the_lifespan_protocol(tmp_path: Path) -> None:
    app: App = served.app(tmp_path, [served.endpoint("m", served.table_model(tmp_path))])
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return asked.pop(0)

    async def send(message: Any) -> None:
        told.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert list((tmp_path / "state" / "metrics").glob("worker-*.json"))
