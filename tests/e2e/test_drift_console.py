"""An alarm of drift reaches everybody: the console in a real browser, the command line, a webhook, Prometheus."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.browser import SCHEMES, Page, browsing, found
from gateway.alerts.signing import is_ours, secret_bytes
from models.batch import Array
from tests.command import calibrated, infer, run, serving_with_console
from tests.e2e.test_drift import WATCHED
from tests.hooks import Hooks
from tests.pages import faults, keyboard, shown
from tests.posted import Post

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(found() is None, reason="no Chromium on this machine: apt-get install chromium"),
]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def _prepared(folder: Path, url: str) -> Array:
    """An endpoint that is watched for drift; rows it has not seen."""
    (folder / "hook.secret").write_text(SECRET)
    calibrated(folder, WATCHED, alerts={"webhooks": [{"url": url, "secret_file": "hook.secret"}]})
    with np.load(folder / "test.npz") as file:
        return np.asarray(file["x"][np.random.default_rng(0).permutation(len(file["x"]))])


def _send(port: int, x: Array) -> None:
    for start in range(0, len(x), 4):
        assert infer(port, x[start : start + 4])[0] == 200


async def _watch(program: str, port: int, url: str, x: Array) -> None:
    async with browsing(program) as page:
        await page.look("light")
        await page.open(f"{url}/drift")
        assert "Nothing was evaluated yet" in await page.run("document.querySelector('main').innerText")
        await asyncio.to_thread(_send, port, x[:200])
        await shown(page, "document.querySelectorAll('#drift table.list tbody tr').length > 5", within_s=30.0)
        assert await page.run("document.querySelector('#alarms') === null")
        await asyncio.to_thread(_send, port, x[:400, ..., ::-1])
        await shown(page, "document.querySelector('#alarms') !== null", within_s=30.0)
        await _shown(page)
        await _usable(page, url)
        assert page.errors == []
        assert {address.split("/")[2] for address in page.requests if "://" in address} == {url.split("/")[2]}


async def _shown(page: Page) -> None:
    """The alarm, where the series was, what it was made of; and the same of another feature and a class."""
    assert "Drift: since" in await page.run("document.querySelector('.attention').innerText")
    assert await page.run("document.querySelectorAll('[aria-labelledby=course] .alarm').length") >= 1
    assert await page.run("document.querySelector('#drift tbody .verdict.reject').textContent")
    await page.follow("document.querySelector('[aria-labelledby=ranked] tbody tr:last-child a').click()")
    chosen = await page.run("document.querySelector('tr.chosen a').textContent")
    assert await page.run("document.querySelector('select[name=series]').value") == chosen
    await page.run("document.querySelector('select[name=class]').value = '3'")
    await page.follow("document.querySelector('form.slices button').click()")
    assert await page.run("document.querySelector('#label').textContent") == "Class 3"
    assert await page.run("document.querySelectorAll('[aria-labelledby=label] svg path').length") >= 1


async def _usable(page: Page, url: str) -> None:
    for path in ("/drift", "/drift?series=class&class=3", "/"):
        for scheme in SCHEMES:
            await page.look(scheme)
            await page.open(url + path)
            assert await faults(page) == [], (scheme, path)
        await page.look("light", 390)
        wide = await page.run("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than a phone"
    assert "Drift" in await page.run("document.querySelector('.endpoint').innerText")
    await page.look("light")
    await keyboard(page, url)


def _numbers(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _documents(posts: list[Post]) -> list[dict[str, Any]]:
    return [json.loads(post.body) for post in posts]


def test_an_alarm_appears_wherever_somebody_looks(tmp_path: Path) -> None:
    program = found()
    assert program is not None
    with Hooks(503) as hooks:
        x = _prepared(tmp_path, hooks.url)
        with serving_with_console(tmp_path) as (port, url):
            asyncio.run(_watch(program, port, url, x))
            page = _numbers(port)
            told = run(tmp_path, "drift", "--json", "--plot", "drift.png")
            status = run(tmp_path, "status")
    assert 'watchgate_drift_drifted{endpoint="digits"} 1' in page
    assert 'watchgate_alerts_total{outcome="lost"} 0' in page
    document = json.loads(told.stdout)["endpoints"]["digits"]
    first = document["series"][0]
    assert document["drifted"]
    assert first["drifted"]
    assert f'watchgate_drift_series_drifted{{endpoint="digits",series="{first["name"]}"}} 1' in page
    assert (tmp_path / "drift.png").stat().st_size > 10_000
    assert "drift: since" in status.stdout
    _heard(hooks.posts, {one["name"] for one in document["series"] if one["drifted"]})


def _heard(posts: list[Post], drifted: set[str]) -> None:
    """The first attempt was refused; what came again is signed, and every series that drifts was told once."""
    again = [post for post in posts if post.headers["webhook-id"] == posts[0].headers["webhook-id"]]
    assert [post.body for post in again] == [posts[0].body] * 2
    secret = secret_bytes(SECRET)
    assert all(is_ours(secret, post.headers, post.body, time.time()) for post in posts)
    started = [one["data"]["series"] for one in _documents(posts[1:]) if one["type"] == "drift.started"]
    assert drifted <= set(started)
    assert len(started) == len(set(started))
