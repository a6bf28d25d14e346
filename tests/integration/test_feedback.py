"""True labels through the app: whose, how often, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from detectors.drift.design import design
from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule
from gateway.app import App
from gateway.principals.keys import editing, new_key
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.feedback import accuracy
from gateway.tracking.feedback.accuracy import ERROR, LABEL
from gateway.tracking.feedback.answers import answers_key
from gateway.tracking.feedback.report import AccuracyStatus, accuracy_name
from gateway.tracking.tracker import Tracker
from models.batch import Array
from tests import served
from tests.waiting import awaited
from tests.wired import tensor

URL = "/v2/models/m/feedback"
RNG = np.random.default_rng(0)
HELD_OUT = np.stack([RNG.random(2000) < 0.1, RNG.integers(0, 3, 2000)], axis=1).astype(np.float64)


@pytest.fixture(scope="module")
def monitor() -> Monitor:
    return design(Rows(HELD_OUT, None), Schedule(200, 20_000), columns=(ERROR, LABEL))


@asynccontextmanager
async def taking(folder: Path, errors: Monitor | None = None, **stated: Any) -> AsyncIterator[tuple[App, Tracker]]:
    """An app whose one endpoint takes labels; `principal` as in a config."""
    settings = {"window": 200, "every": 1.0} | stated.pop("feedback", {})
    model = served.table_model(folder)
    chain = served.guarded(model[1]) if stated.pop("guarded", False) else None
    made = replace(served.endpoint("m", model, chain, feedback=settings), errors=errors)
    config = served.configured(folder, [made], **stated)
    with served.tracked(config, made) as both:
        yield both


async def ask(caller: httpx.AsyncClient, rows: Array, **headers: str) -> tuple[str, Array]:
    """The id of the answer, and its classes."""
    body = {"inputs": [tensor(rows.ravel().tolist(), rows.shape)]}
    answer = await caller.post("/v2/models/m/infer", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    logits = np.array(answer.json()["outputs"][0]["data"], dtype=float).reshape(len(rows), -1)
    return answer.headers["x-watchgate-id"], logits.argmax(axis=1)


async def tell(caller: httpx.AsyncClient, *labels: tuple[str, int, int], **headers: str) -> dict[str, int]:
    told = [{"id": id_, "row": row, "label": int(label)} for id_, row, label in labels]
    answer = await caller.post(URL, json={"labels": told}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, int] = answer.json()
    return found


async def logged(folder: Path, *ids: str) -> None:
    store = SqliteShared.open(folder / "state")
    await awaited(lambda: store.logged(answers_key("m"), ids).keys() == set(ids))
    store.close()


async def status(folder: Path, true: Callable[[AccuracyStatus], bool]) -> AccuracyStatus:
    store, found = SqliteShared.open(folder / "state"), list[AccuracyStatus]()

    def told() -> bool:
        kept = store.load(accuracy_name("m", served.VERSION))
        found[:] = [] if kept is None else [msgspec.json.decode(kept.value, type=AccuracyStatus)]
        return bool(found) and true(found[0])

    await awaited(told)
    store.close()
    return found[0]


def counted(new: int, repeated: int = 0, unknown: int = 0) -> dict[str, int]:
    return {"counted": new, "repeated": repeated, "unknown": unknown}


async def test_each_row_counts_once_and_the_unknown_is_said(tmp_path: Path) -> None:
    async with taking(tmp_path) as (app, tracker), served.client(app) as caller:
        id_, classes = await ask(caller, RNG.random((3, 12)))
        await logged(tmp_path, id_)
        right = [(id_, row, label) for row, label in enumerate(classes)]
        assert await tell(caller, *right[:2], right[0]) == counted(2, 1)
        assert await tell(caller, *right) == counted(1, 2)
        assert await tell(caller, (id_, 3, 0), ("f" * 32, 0, 0), (f"{id_}#0", 0, 0)) == counted(0, 0, 3)
        assert await tell(caller) == counted(0)
        assert tracker.stats()["feedback_counted"] == 3
        assert tracker.stats()["answers_logged"] == 1


async def test_others_answers_are_not_told_from_none(tmp_path: Path) -> None:
    with editing(tmp_path / "keys.json") as keys:
        made = {name: new_key(name, 0.0, operator=name == "boss") for name in ("ann", "bob", "boss")}
        keys.update({key.id: key for _, key in made.values()})
    ann, bob, boss = ({"x-api-key": made[name][0]} for name in ("ann", "bob", "boss"))
    principal = {"keys": tmp_path / "keys.json", "anonymous": "refuse"}
    async with taking(tmp_path, principal=principal) as (app, _), served.client(app) as caller:
        id_, classes = await ask(caller, RNG.random((3, 12)), **ann)
        await logged(tmp_path, id_)
        none = await caller.post(URL, json={"labels": []})
        assert none.status_code == 401
        assert await tell(caller, (id_, 0, classes[0]), **bob) == await tell(caller, ("f" * 32, 0, 0), **bob)
        assert await tell(caller, (id_, 0, classes[0]), **ann) == counted(1)
        assert await tell(caller, (id_, 0, classes[0]), **bob) == counted(0, 0, 1)  # nor whether it has a label
        assert await tell(caller, (id_, 0, classes[0]), (id_, 1, classes[1]), **boss) == counted(1, 1)


async def test_what_is_no_feedback_is_refused(tmp_path: Path) -> None:
    async with taking(tmp_path) as (app, _), served.client(app) as caller:
        bad = await caller.post(URL, content=b'{"labels": [{"id": "a"}]}')
        assert (bad.status_code, bad.json()["error"]) == (
            400,
            "request: Object missing required field `row` - at `$.labels[0]`",
        )
        assert (await caller.get(URL)).status_code == 405
        assert (await caller.post("/v2/models/other/feedback", json={"labels": []})).status_code == 404
        assert (await caller.post(URL, content=b"{}", headers={"content-type": "text/plain"})).status_code == 415
    plain = served.app(tmp_path, [served.endpoint("m", served.table_model(tmp_path))])
    async with served.client(plain) as caller:
        assert (await caller.post(URL, json={"labels": []})).status_code == 404


async def test_accuracy_is_told_with_its_interval(
    tmp_path: Path, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy.AccuracyTeller.__init__, "__defaults__", (0.2,))
    async with taking(tmp_path, monitor) as (app, _), served.client(app) as caller:
        id_, classes = await ask(caller, RNG.random((100, 12)))
        await logged(tmp_path, id_)
        wrong = {3, 14, 15, 92}
        labels = [(id_, row, (label + (row in wrong)) % 3) for row, label in enumerate(classes)]
        assert await tell(caller, *labels) == counted(100)
        found = await status(tmp_path, lambda told: told.window == 100)
        assert (found.labels, found.correct, found.accuracy) == (100, 96, 0.96)
        assert (found.low, found.high) == pytest.approx((0.9016, 0.9843), abs=1e-4)
        assert found.expected == pytest.approx(1.0 - HELD_OUT[:, 0].mean())
        assert [(point.labels, point.correct) for point in found.points] == [(100, 96)]
        assert {each.name for each in found.series} >= {ERROR, LABEL}


async def test_an_error_rate_that_has_doubled_alarms(
    tmp_path: Path, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy.AccuracyTeller.__init__, "__defaults__", (0.2,))
    async with taking(tmp_path, monitor) as (app, _), served.client(app) as caller:
        labels = []
        for _ in range(4):
            id_, classes = await ask(caller, RNG.random((100, 12)))
            await logged(tmp_path, id_)
            labels += [(id_, row, (label + (RNG.random() < 0.35)) % 3) for row, label in enumerate(classes)]
        for start in range(0, 400, 100):
            await tell(caller, *labels[start : start + 100])
            await asyncio.sleep(1.0)
        found = await status(tmp_path, lambda told: told.drifted)
        drifted = {each.name: each for each in found.series if each.drifted}
        assert ERROR in drifted
        assert drifted[ERROR].statistic > drifted[ERROR].threshold


async def test_rows_that_were_stopped_are_no_evidence_of_drift(
    tmp_path: Path, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy.AccuracyTeller.__init__, "__defaults__", (0.2,))
    async with taking(tmp_path, monitor, guarded=True) as (app, _), served.client(app) as caller:
        rows = np.zeros((3, 12))
        rows[1, 0], rows[2, 0] = 0.85, 0.95  # flagged, rejected
        id_, classes = await ask(caller, rows)
        await logged(tmp_path, id_)
        assert await tell(caller, *((id_, row, classes[row]) for row in range(3))) == counted(2, 0, 1)
        found = await status(tmp_path, lambda told: told.window == 1)
        assert (found.labels, found.correct) == (2, 2)


async def test_without_a_reference_there_is_accuracy_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy.AccuracyTeller.__init__, "__defaults__", (0.2,))
    async with taking(tmp_path) as (app, _), served.client(app) as caller:
        id_, classes = await ask(caller, RNG.random((2, 12)))
        await logged(tmp_path, id_)
        await tell(caller, (id_, 0, classes[0]), (id_, 1, classes[1] + 1))
        found = await status(tmp_path, lambda told: True)
        assert (found.labels, found.correct, found.expected, found.series) == (2, 1, None, ())
