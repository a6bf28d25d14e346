"""The app over real models: routes, answers, verdicts, and what the recorder is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from detectors.base import View
from gateway.app import App
from models.batch import Array
from tests import served
from tests.served import Listed
from tests.unit.gateway.wire.test_images import GRAY, png
from tests.wired import binary, packed, tensor

X = np.random.default_rng(1).random((4, 12), dtype=np.float32) * np.float32(0.7)
INFER = "/v2/models/m/infer"
HEX = re.compile(r"[0-9a-f]{32}")


@asynccontextmanager
async def serving(folder: Path, recorder: Listed | None = None, **config: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A table model behind the guard that flags rows with a value over 0.8 and rejects those over 0.9."""
    spec, backend = served.table_model(folder)
    guarded = served.endpoint("m", (spec, backend), served.guarded(backend), **config)
    async with served.client(served.app(folder, [guarded], recorder)) as client:
        yield client


def rows(*largest: float) -> Array:
    x = X[: len(largest)].copy()
    for index, value in enumerate(largest):
        if value:
            x[index, 3] = value
    return x


def body(x: Array, **keys: Any) -> dict[str, Any]:
    return {"inputs": [tensor(x.tolist(), x.shape)], **keys}


def outputs(response: httpx.Response) -> dict[str, Any]:
    return {each["name"]: each["data"] for each in response.json()["outputs"]}


async def test_allowed_rows_get_the_models_own_answer(tmp_path: Path) -> None:
    recorder = Listed()
    async with serving(tmp_path, recorder) as client:
        response = await client.post(INFER, json=body(X, id="seven"), headers={"traceparent": "00-a-b-00"})
    assert response.status_code == 200
    assert response.json()["id"] == "seven"
    np.testing.assert_allclose(outputs(response)["logits"], (X @ served.WEIGHTS).ravel(), rtol=1e-5)
    assert set(outputs(response)) == {"logits"}
    [seen] = recorder.seen
    assert HEX.fullmatch(seen.id)
    assert response.headers["x-watchgate-id"] == seen.id
    assert (seen.status, seen.principal, seen.request_id) == (200, "127.0.0.1", "seven")
    assert (seen.traceparent, seen.route) == ("00-a-b-00", "/v2/models/{model}/infer")
    assert seen.body_bytes == len(response.request.content)
    assert seen.started_ns < seen.ended_ns


async def test_binary_in_binary_out(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        content, size = binary(packed(X), parameters={"binary_data_output": True})
        headers = {"inference-header-content-length": str(size), "content-type": "application/octet-stream"}
        response = await client.post(INFER, content=content, headers=headers)
    start = int(response.headers["inference-header-content-length"])
    logits = np.frombuffer(response.content[start:], np.float32).reshape(4, 3)
    np.testing.assert_allclose(logits, X @ served.WEIGHTS, rtol=1e-5)


async def test_in_a_batch_of_64_the_one_bad_row_alone_is_rejected(tmp_path: Path) -> None:
    x = np.tile(X, (16, 1))
    x[37, 5] = 0.95
    async with serving(tmp_path) as client:
        response = await client.post(INFER, json=body(x))
    found = outputs(response)
    assert [row for row, word in enumerate(found["verdict"]) if word == "reject"] == [37]
    assert set(found["verdict"]) == {"allow", "reject"}
    logits = np.array(found["logits"], dtype=float).reshape(64, 3)
    assert np.isnan(logits[37]).all()
    keep = np.arange(64) != 37
    np.testing.assert_allclose(logits[keep], (x @ served.WEIGHTS)[keep], rtol=1e-5)


async def test_a_request_with_nothing_allowed_is_403_and_says_nothing_of_why(tmp_path: Path) -> None:
    recorder = Listed()
    async with serving(tmp_path, recorder) as client:
        response = await client.post(INFER, json=body(rows(0.95, 0.99)))
    assert response.status_code == 403
    assert response.json() == {"error": "the request was rejected", "id": recorder.seen[0].id}
    assert "largest" not in response.text
    assert recorder.seen[0].status == 403
    assert recorder.seen[0].judged is not None


async def test_flagged_rows_are_answered_and_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        response = await client.post(INFER, json=body(rows(0.0, 0.85)))
    assert outputs(response)["verdict"] == ["allow", "flag"]


@pytest.mark.parametrize(
    ("disclose", "status", "names"),
    [
        ("none", 403, set()),
        ("verdict", 200, {"logits", "verdict"}),
        ("scores", 200, {"logits", "verdict", "p_value"}),
    ],
)
async def test_what_a_mixed_batch_discloses(tmp_path: Path, disclose: str, status: int, names: set[str]) -> None:
    recorder = Listed()
    async with serving(tmp_path, recorder, disclose=disclose) as client:
        response = await client.post(INFER, json=body(rows(0.0, 0.95)))
        clean = await client.post(INFER, json=body(rows(0.0, 0.0)))
    assert response.status_code == status
    if names:
        assert set(outputs(response)) == names
    assert set(outputs(clean)) == {"logits"}
    assert [seen.status for seen in recorder.seen] == [status, 200]


async def test_rows_of_one_request_never_change_anothers_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        given = [rows(0.0), rows(0.95), rows(0.85), rows(0.0, 0.95), X]
        together = await asyncio.gather(*[client.post(INFER, json=body(x)) for x in given])
        apart = [await client.post(INFER, json=body(x)) for x in given]
    for one, other in zip(together, apart, strict=True):
        assert one.status_code == other.status_code
        assert one.json().get("outputs") == other.json().get("outputs")


async def test_a_full_verdict_lane_refuses_what_it_cannot_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.PATIENCE_S", 0.02)
    async with serving(tmp_path, Listed(room=False)) as client:
        rejected = await client.post(INFER, json=body(rows(0.95)))
        flagged = await client.post(INFER, json=body(rows(0.85)))
        clean = await client.post(INFER, json=body(rows(0.0)))
    assert (rejected.status_code, flagged.status_code, clean.status_code) == (503, 503, 200)
    assert rejected.headers["retry-after"] == "1"
    async with serving(tmp_path, Listed(room=False), mode="shadow") as client:
        assert (await client.post(INFER, json=body(rows(0.85)))).status_code == 200


async def test_a_verdict_waits_for_room_before_it_is_refused(tmp_path: Path) -> None:
    recorder = Listed(room=False)
    async with serving(tmp_path, recorder) as client:
        asked = asyncio.create_task(client.post(INFER, json=body(rows(0.95))))
        await asyncio.sleep(0.1)
        assert not asked.done()
        assert (await client.post(INFER, json=body(rows(0.0)))).status_code == 200  # others don't wait with it
        recorder.room = True
        assert (await asked).status_code == 403
    assert [seen.status for seen in recorder.seen] == [200, 403]


async def test_a_recorder_that_raises_counts_as_full(tmp_path: Path) -> None:
    class Broken(Listed):
        def offer(self, observation: Any) -> bool:
            raise OSError("no disk")

    async with serving(tmp_path, Broken()) as client:
        assert (await client.post(INFER, json=body(rows(0.95)))).status_code == 503
        assert (await client.post(INFER, json=body(rows(0.0)))).status_code == 200


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


async def test_text_columns_pass_through(tmp_path: Path) -> None:
    async with served.client(served.app(tmp_path, [served.endpoint("m", served.text_model(tmp_path))])) as client:
        said = tensor([["a"], ["ü"]], (2, 1), name="t", datatype="BYTES")
        response = await client.post(INFER, json={"inputs": [said, tensor([[1, 2], [3, 4]], (2, 2))]})
        assert outputs(response) == {"y": [1, 2, 3, 4], "said": ["a", "ü"]}
        response = await client.post("/predict", json={"inputs": {"x": [[1, 2]], "t": [["a"]]}})
        assert response.json()["outputs"] == {"y": [[1, 2]], "said": [["a"]]}


async def test_predict_takes_rows_and_images(tmp_path: Path) -> None:
    app = served.app(tmp_path, [served.endpoint("m", served.image_model(tmp_path))])
    expected = (GRAY.astype(np.float32) / 255).reshape(1, 12) @ served.WEIGHTS
    async with served.client(app) as client:
        rows = await client.post("/predict", json={"x": (GRAY[None, None] / 255).tolist()})
        image = await client.post("/predict?endpoint=m", content=png(GRAY), headers={"content-type": "image/png"})
        jpeg = await client.post("/predict", content=png(GRAY, "JPEG"), headers={"content-type": "image/jpeg"})
        wrong = await client.post("/predict", content=png(GRAY.T.copy()), headers={"content-type": "image/png"})
    for response in (rows, image):
        assert response.json()["verdict"] == ["allow"]
        assert response.json()["id"] == response.headers["x-watchgate-id"]
        np.testing.assert_allclose(response.json()["outputs"]["logits"], expected, rtol=1e-4)
    assert jpeg.status_code == 200
    assert wrong.status_code == 400
    assert "expected 3x4 pixels" in wrong.json()["error"]


async def test_predict_names_its_endpoint_where_there_are_several(tmp_path: Path) -> None:
    models = [
        served.endpoint("a", served.table_model(tmp_path)),
        served.endpoint("b", served.image_model(tmp_path), limits={"max_body_bytes": 50}),
    ]
    async with served.client(served.app(tmp_path, models)) as client:
        good = await client.post("/predict", json={"endpoint": "a", "x": X.tolist()})
        asked = await client.post("/predict?endpoint=a", json={"x": X.tolist()})
        unnamed = await client.post("/predict", json={"x": X.tolist()})
        long = await client.post("/predict", json={"endpoint": "b", "x": X.reshape(4, 1, 3, 4).tolist()})
    assert (good.status_code, asked.status_code, unnamed.status_code, long.status_code) == (200, 200, 404, 413)
    assert unnamed.json()["error"] == "endpoint: expected one of a, b, found ''"


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


async def test_a_mistake_of_our_own_is_a_500_with_an_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec, backend = served.table_model(tmp_path)
    app = served.app(tmp_path, [served.endpoint("m", (spec, backend))])
    app._endpoints["m"].writer.write = None  # type: ignore[assignment,method-assign]
    async with served.client(app) as client:
        response = await client.post(INFER, json=body(X))
    assert response.status_code == 500
    assert response.json()["id"] in caplog.text
    assert "NoneType" not in response.text


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
