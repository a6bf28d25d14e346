"""Keys, marks and what marked principals get, through the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from detectors.queries.likeness import Likeness
from gateway.app import App
from gateway.disclosure import Disclosure, LabelsOnly
from gateway.principals.config import PrincipalConfig
from gateway.principals.keys import editing, new_key, revoked
from gateway.state.principals.file import PrincipalFile
from gateway.telemetry.config import TelemetryConfig
from gateway.tracking.queries.config import QueriesConfig
from gateway.tracking.tracker import Tracker
from models.batch import Array
from tests import served
from tests.waiting import awaited
from tests.wired import tensor

INFER = "/v2/models/m/infer"


@cache
def honest() -> Array:
    return np.random.default_rng(0).random((3000, 12)).astype(np.float32)


def variants(n: int) -> Array:
    noise = np.random.default_rng(1).normal(size=(n, 12))
    return np.asarray(np.clip(honest()[0] + 0.01 * noise, 0, 1), dtype=np.float32)


@asynccontextmanager
async def tracked(folder: Path, **stated: Any) -> AsyncIterator[tuple[App, Tracker]]:
    """An app whose one endpoint remembers queries; `queries` and `principal` as in a config."""
    settings = QueriesConfig(**stated.pop("queries", {}))
    made = served.endpoint("m", served.table_model(folder), queries=settings, **stated.pop("endpoint", {}))
    spec = made.chain.backend
    coarse = Disclosure.of((LabelsOnly(),), made.config.model.outputs, spec.outputs)
    made = replace(made, likeness=Likeness.fit(honest()[:2000], spec.spec), coarse=coarse)
    config = served.configured(folder, [made], **stated)
    with served.tracked(config, made) as both:
        yield both


async def ask(caller: httpx.AsyncClient, row: Array, **headers: str) -> httpx.Response:
    body = {"inputs": [tensor(row.tolist(), (1, 12))]}
    return await caller.post(INFER, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})


async def attack(caller: httpx.AsyncClient, tracker: Tracker, n: int, **headers: str) -> list[int]:
    """The statuses of so many like queries, each sent when the one before has been looked at."""
    statuses = []
    for row in variants(n):
        before = tracker.stats()["new_rows"]
        statuses.append((await ask(caller, row, **headers)).status_code)
        if statuses[-1] == 200:
            await awaited(lambda before=before: tracker.stats()["new_rows"] > before)  # type: ignore[misc]
    return statuses


async def test_an_attacker_is_refused_from_the_fifth_query_on_and_nobody_else(tmp_path: Path) -> None:
    async with (
        tracked(tmp_path, queries={"steps": ["refuse"]}) as (app, tracker),
        served.client(app, "10.0.0.1") as attacker,
        served.client(app, "10.0.0.2") as other,
    ):
        assert await attack(attacker, tracker, 7) == [200] * 4 + [429] * 3
        refused = await ask(attacker, variants(1)[0])
        assert refused.headers["retry-after"] == "60"
        assert refused.json()["error"] == "too many requests"
        assert (await ask(other, variants(1)[0])).status_code == 200
    store = PrincipalFile.open(tmp_path / "state")
    assert list(store.marks(time.time_ns())) == ["10.0.0.1"]
    assert store.queries() == {"10.0.0.1": 4, "10.0.0.2": 1}
    store.close()


async def test_a_refusal_may_look_like_any_other(tmp_path: Path) -> None:
    async with (
        tracked(tmp_path, queries={"steps": ["refuse"], "refuse_with": 403}) as (app, tracker),
        served.client(app) as attacker,
    ):
        assert (await attack(attacker, tracker, 5))[-1] == 403


async def test_marks_escalate(tmp_path: Path) -> None:
    steps = {"steps": ["flag", "coarsen", "refuse"], "escalate_after": 2}
    async with tracked(tmp_path, queries=steps) as (app, tracker), served.client(app) as attacker:
        first = await ask(attacker, honest()[1])
        await awaited(lambda: tracker.stats()["new_rows"] == 1)
        assert await attack(attacker, tracker, 9) == [200] * 8 + [429]
        assert len(set(first.json()["outputs"][0]["data"])) == 3


async def test_coarsened_answers_tell_the_class_only(tmp_path: Path) -> None:
    queries = {"steps": ["coarsen"]}
    async with (
        tracked(tmp_path, queries=queries, endpoint={"disclose": "scores"}) as (app, tracker),
        served.client(app) as attacker,
    ):
        await attack(attacker, tracker, 5)
        answer = (await ask(attacker, variants(1)[0])).json()
        values = np.array(answer["outputs"][0]["data"])
        assert values.argmax() == (variants(1) @ served.WEIGHTS).argmax()
        assert (np.delete(values, values.argmax()) == np.finfo(np.float32).min).all()
        body = {"inputs": [tensor(variants(1)[0].tolist(), (1, 12))], "outputs": [{"name": "p_value"}]}
        assert (await attacker.post(INFER, json=body)).json()["outputs"][0]["data"] == [None]
        plain = (await attacker.post("/predict", json={"x": variants(1).tolist()})).json()
        assert sorted(plain["outputs"]["logits"][0])[1] == pytest.approx(np.finfo(np.float32).min)


async def test_a_marked_principal_may_be_slowed(tmp_path: Path) -> None:
    async with (
        tracked(tmp_path, queries={"steps": ["slow"], "slow_ms": 300}) as (app, tracker),
        served.client(app) as attacker,
    ):
        await attack(attacker, tracker, 4)
        started = time.monotonic()
        assert (await ask(attacker, variants(1)[0])).status_code == 200
        assert time.monotonic() - started >= 0.3


async def test_a_lifted_mark_is_gone_in_a_second_and_its_queries_are_forgotten(tmp_path: Path) -> None:
    async with (
        tracked(tmp_path, queries={"steps": ["refuse"]}) as (app, tracker),
        served.client(app, "10.0.0.1") as attacker,
    ):
        assert (await attack(attacker, tracker, 5))[-1] == 429
        store = PrincipalFile.open(tmp_path / "state")
        await awaited(lambda: bool(store.marks(time.time_ns())))
        assert store.lift("10.0.0.1")
        store.close()
        await awaited(lambda: not tracker.marks.current)
        assert await attack(attacker, tracker, 5) == [200] * 4 + [429]


async def test_marks_of_another_worker_hold_here(tmp_path: Path) -> None:
    async with (
        tracked(tmp_path, queries={"steps": ["refuse"]}) as (_, one),
        tracked(tmp_path, queries={"steps": ["refuse"]}) as (app, other),
        served.client(app, "10.0.0.1") as caller,
    ):
        for row in variants(6):
            one.observe(_observed(row))
        await awaited(lambda: bool(one.marks.current))
        marked = time.monotonic()
        await awaited(lambda: bool(other.marks.current))
        assert time.monotonic() - marked < 1.0
        assert (await ask(caller, honest()[5])).status_code == 429


async def test_numbers_of_queries_are_in_metrics(tmp_path: Path) -> None:
    async with tracked(tmp_path) as (app, tracker), served.client(app) as caller:
        await attack(caller, tracker, 3)
        page = (await caller.get("/metrics")).text
        assert "watchgate_query_new_rows_total 3.0" in page
        assert "watchgate_tracking_dropped_total 0.0" in page


async def test_keys_name_the_caller_and_are_replaced_without_a_restart(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    texts = {}
    for name in ("alice", "root"):
        text, key = new_key(name, time.time(), operator=name == "root")
        texts[name] = text
        with editing(keys) as known:
            known[key.id] = key
    principal = PrincipalConfig(keys=keys, anonymous="refuse")
    async with tracked(tmp_path, principal=principal) as (app, _), served.client(app, "10.0.0.1") as caller:
        row = honest()[0]
        unknown = await ask(caller, row)
        assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, "Bearer")
        assert (await ask(caller, row, x_api_key=texts["alice"][:-1] + "!")).status_code == 401
        assert (await ask(caller, row, x_api_key=texts["alice"])).status_code == 200
        assert (await ask(caller, row, authorization=f"Bearer {texts['alice']}")).status_code == 200
        plain = {"x": honest()[:1].tolist()}
        assert (await caller.post("/predict", json=plain)).status_code == 401
        assert (await caller.get("/metrics")).status_code == 404
        assert (await caller.get("/metrics", headers={"x-api-key": texts["alice"]})).status_code == 404
        assert (await caller.get("/metrics", headers={"x-api-key": texts["root"]})).status_code == 200
        with editing(keys) as known:
            for id_, key in list(known.items()):
                known[id_] = revoked(key, time.time())
        await asyncio.sleep(1.1)
        assert (await ask(caller, row, x_api_key=texts["alice"])).status_code == 401
    store = PrincipalFile.open(tmp_path / "state")
    assert store.queries() == {"alice": 2}
    store.close()


async def test_a_header_names_the_caller_where_the_peer_is_trusted(tmp_path: Path) -> None:
    principal = PrincipalConfig(header="X-Forwarded-For", trusted=("10.0.0.0/8",))
    async with (
        tracked(tmp_path, principal=principal) as (app, tracker),
        served.client(app, "10.0.0.1") as proxy,
        served.client(app, "192.0.2.9") as other,
    ):
        await ask(proxy, honest()[0], x_forwarded_for="203.0.113.7, 10.2.3.4")
        await ask(other, honest()[1], x_forwarded_for="203.0.113.8")
        await awaited(lambda: tracker.stats()["new_rows"] == 2)
    store = PrincipalFile.open(tmp_path / "state")
    assert store.queries().keys() == {"203.0.113.7", "192.0.2.9"}
    store.close()


async def test_metrics_are_not_told_through_a_proxy_on_this_machine(tmp_path: Path) -> None:
    principal = PrincipalConfig(header="x-forwarded-for", trusted=("127.0.0.1",))
    async with (
        tracked(tmp_path, principal=principal, telemetry=TelemetryConfig()) as (app, _),
        served.client(app, "127.0.0.1") as proxy,
    ):
        assert (await proxy.get("/metrics")).status_code == 200
        assert (await proxy.get("/metrics", headers={"x-forwarded-for": "203.0.113.7"})).status_code == 404


def _observed(row: Array) -> Any:
    from gateway.chain import Chain
    from gateway.telemetry.observation import ChainInfo, Observation
    from gateway.verdict import Judged
    from models.batch import Batch

    verdicts = Chain(None)._unjudged(1)  # type: ignore[arg-type]
    judged = Judged(Batch(row[None]), verdicts, None)
    return Observation("id", ChainInfo("m", "v", "enforce", 0, 0, ()), 0, 0, "10.0.0.1", INFER, 200, judged)
