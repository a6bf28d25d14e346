"""Certificates over the app, of a linear model, whose distance to every boundary is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gateway import smoothing
from gateway.errors import Unavailable
from models.backend import ModelBackend, Outputs
from models.batch import Array, Batch
from tests import served
from tests.served import Listed
from tests.wired import binary, packed, tensor

INFER = "/v2/models/m/infer"
SIGMA, SAMPLES = 0.3, 600
SMOOTHING = {"sigma": SIGMA, "samples": SAMPLES, "max_rows": 4}
X = np.random.default_rng(1).random((4, 12), dtype=np.float32) * np.float32(0.7)
MOST = SIGMA * 2.28  # the radius of 600 votes of 600, at alpha 0.001
Client = httpx.AsyncClient


@asynccontextmanager
async def serving(folder: Path, recorder: Listed | None = None, **config: Any) -> AsyncIterator[Client]:
    """Flags rows with a value over 0.8 and rejects those over 0.9."""
    spec, backend = served.table_model(folder)
    config.setdefault("smoothing", SMOOTHING)
    guarded = served.endpoint("m", (spec, backend), served.guarded(backend), **config)
    async with served.client(served.app(folder, [guarded], recorder)) as client:
        yield client


def body(x: Array, certify: object = True) -> dict[str, Any]:
    return {"inputs": [tensor(x.tolist(), x.shape)], "parameters": {"certify": certify}}


def outputs(response: httpx.Response) -> dict[str, Any]:
    return {each["name"]: each["data"] for each in response.json()["outputs"]}


def distances(x: Array) -> Array:
    """(n,) L2 to the nearest boundary between the model's classes."""
    logits = x @ served.WEIGHTS
    best = logits.argmax(axis=1)
    found = np.full((len(x), 3), np.inf)
    for row, winner in enumerate(best):
        for other in set(range(3)) - {int(winner)}:
            apart = served.WEIGHTS[:, winner] - served.WEIGHTS[:, other]
            found[row, other] = (logits[row, winner] - logits[row, other]) / np.linalg.norm(apart)
    return np.asarray(found.min(axis=1))


async def test_a_radius_is_no_larger_than_the_distance_and_not_much_smaller(tmp_path: Path) -> None:
    x = np.random.default_rng(5).random((24, 12), dtype=np.float32) * np.float32(0.7)
    async with serving(tmp_path) as client:
        found = [outputs(await client.post(INFER, json=body(x[start : start + 4]))) for start in range(0, 24, 4)]
    classes = np.concatenate([each["certified_class"] for each in found])
    radius = np.concatenate([each["certified_radius"] for each in found])
    truth = distances(x)
    sure = classes >= 0
    assert sure.sum() >= 12
    assert (classes[sure] == (x @ served.WEIGHTS).argmax(axis=1)[sure]).all()
    assert (radius[~sure] == 0.0).all()
    assert (radius <= truth).all()  # each may be wrong with probability 0.001
    assert (radius[sure] <= MOST).all()
    near = sure & (truth < 0.9 * MOST)
    assert (radius[near] > 0.4 * truth[near]).any()
    assert (truth[~sure] < 0.5 * SIGMA).all()


async def test_binary_answers_hold_them_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        asked = {"binary_data_output": True, "certify": True}
        content, size = binary(packed(X), parameters=asked)
        headers = {"inference-header-content-length": str(size), "content-type": "application/octet-stream"}
        response = await client.post(INFER, content=content, headers=headers)
    assert response.status_code == 200
    start = int(response.headers["inference-header-content-length"])
    logits = np.frombuffer(response.content[start : start + 48], np.float32).reshape(4, 3)
    np.testing.assert_allclose(logits, X @ served.WEIGHTS, rtol=1e-5)
    classes = np.frombuffer(response.content[start + 48 : start + 80], np.int64)
    radius = np.frombuffer(response.content[start + 80 :], np.float64)
    assert classes.shape == radius.shape == (4,)
    assert ((classes >= 0) == (radius > 0.0)).all()


@pytest.mark.parametrize("by", ["key", "query"])
async def test_predict(by: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        asked: dict[str, Any] = {"x": X.tolist()}
        if by == "key":
            asked["certify"] = True
        told = (await client.post("/predict" + ("?certify=true" if by == "query" else ""), json=asked)).json()
        plain = (await client.post("/predict", json={"x": X.tolist()})).json()
    assert len(told["certified_class"]) == len(told["certified_radius"]) == 4
    assert told["outputs"] == plain["outputs"]
    assert "certified_class" not in plain


async def test_the_chains_verdict_still_holds(tmp_path: Path) -> None:
    recorder = Listed()
    x = X.copy()
    x[1, 3] = 0.95
    async with serving(tmp_path, recorder) as client:
        response = await client.post(INFER, json=body(x))
        rejected = await client.post(INFER, json=body(x[1:2]))
    told = outputs(response)
    assert told["verdict"] == ["allow", "reject", "allow", "allow"]
    assert (told["certified_class"][1], told["certified_radius"][1]) == (-1, 0.0)
    assert told["logits"][3:6] == [None] * 3
    assert rejected.status_code == 403
    assert [seen.status for seen in recorder.seen] == [200, 403]


async def test_with_nothing_disclosed_a_rejected_row_refuses_all(tmp_path: Path) -> None:
    x = X.copy()
    x[1, 3] = 0.95
    async with serving(tmp_path, disclose="none") as client:
        assert (await client.post(INFER, json=body(x))).status_code == 403


async def test_refused_where_it_is_not_enabled(tmp_path: Path) -> None:
    recorder = Listed()
    async with serving(tmp_path, recorder, smoothing=None) as client:
        for response in (
            await client.post(INFER, json=body(X)),
            await client.post("/predict", json={"x": X.tolist(), "certify": True}),
        ):
            assert response.status_code == 400
            assert response.json()["error"] == "certify: endpoint 'm' gives no certificates"
        assert (await client.post(INFER, json=body(X, certify=False))).status_code == 200


async def test_other_requests_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        many = await client.post(INFER, json=body(np.concatenate([X, X])))
        wrong = await client.post(INFER, json=body(X, certify=1000))
    assert (many.status_code, many.json()["error"]) == (413, "certify: expected at most 4 rows, found 8")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "parameter certify: expected true or false, found 1000")


async def test_others_are_answered_meanwhile_and_the_queue_is_short(tmp_path: Path) -> None:
    recorder = Listed()
    big = SMOOTHING | {"samples": 60_000}
    async with serving(tmp_path, recorder, smoothing=big, limits={"timeout_ms": 60_000}) as client:
        slow = [asyncio.create_task(client.post(INFER, json=body(X))) for _ in range(smoothing.MOST_WAITING + 2)]
        await asyncio.sleep(0.05)
        quick = await asyncio.wait_for(client.post(INFER, json=body(X, certify=False)), 5.0)
        unfinished = [task for task in slow if not task.done()]
        assert quick.status_code == 200
        assert unfinished
        answers = [(await task).status_code for task in slow]
    assert sorted(answers) == [200] * smoothing.MOST_WAITING + [503] * 2
    assert len(recorder.seen) == len(slow) + 1  # the refused have a verdict, which is on record


async def test_the_time_is_bounded_and_the_verdict_recorded(tmp_path: Path) -> None:
    recorder = Listed()
    big = SMOOTHING | {"samples": 100_000}
    x = X.copy()
    x[0, 3] = 0.85
    async with serving(tmp_path, recorder, smoothing=big, limits={"timeout_ms": 50}) as client:
        late = await client.post(INFER, json=body(x))
        assert (late.status_code, late.json()["error"]) == (503, "no certificate within 50 ms")
        assert [seen.status for seen in recorder.seen] == [503]
        assert recorder.seen[0].judged is not None
        for _ in range(200):  # its thread stops at the next look at the clock, and its place is free again
            await asyncio.sleep(0.02)
            answer = await client.post(INFER, json=body(x[:1]))
            if answer.json().get("error") != "too many certificates are asked for at once":
                break
        assert answer.json()["error"] == "no certificate within 50 ms"


class Failing:
    """A model that answers noisy rows with no numbers, or not at all."""

    def __init__(self, backend: ModelBackend, raises: bool) -> None:
        self.backend, self.raises = backend, raises
        self.spec = backend.spec

    def predict(self, batch: Batch) -> Outputs:
        if self.raises:
            raise RuntimeError("no")
        found = self.backend.predict(batch)
        assert found.logits is not None
        found.logits[::7] = np.nan
        return found


@pytest.mark.parametrize("raises", [False, True])
async def test_a_model_that_fails_under_noise(raises: bool, tmp_path: Path) -> None:
    _, backend = served.table_model(tmp_path)
    failing: Any = Failing(backend, raises)
    smoother = smoothing.Smoother(smoothing.Smoothing(sigma=0.1), failing)
    if raises:
        with pytest.raises(Unavailable, match="could not be certified"):
            await smoother.certify(Batch(X), np.ones(4, dtype=bool), 5.0)
        return
    found = await smoother.certify(Batch(X), np.ones(4, dtype=bool), 5.0)
    assert found.classes.tolist() == [-1] * 4
    assert found.radius.tolist() == [0.0] * 4
