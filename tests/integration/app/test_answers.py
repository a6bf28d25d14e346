"""What callers get over the app: the model's own answer, and what a verdict makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests import served
from tests.guarded import HEX, INFER, X, body, outputs, rows, serving
from tests.served import Listed
from tests.wired import GRAY, binary, packed, png, tensor


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
