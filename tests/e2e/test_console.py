"""The console in a real browser, over a real gateway: what an operator sees and does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.browser import SCHEMES, Page, browsing, found
from tests import digits
from tests.e2e.test_own_model import ENVIRONMENT, WATCHGATE, ask, free_port, ready, run
from tests.unit.gateway.console.conftest import HOSTILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(found() is None, reason="no Chromium on this machine: apt-get install chromium"),
]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated endpoint."""
    folder = tmp_path_factory.mktemp("console")
    digits.write(folder)
    named = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    for command in (("init", *named), ("calibrate", "--quick")):
        ran = run(folder, *command)
        assert ran.returncode == 0, ran.stderr
    return folder


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, str]]:
    """The gateway's port and the console's address; both end as by Ctrl-C."""
    port, console = free_port(), free_port()
    command = [*WATCHGATE, "serve", "--port", str(port), "--console-port", str(console)]
    server = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT)
    url = f"http://127.0.0.1:{console}"
    try:
        deadline = time.monotonic() + 90
        while not (ready(port, "digits") and answers(url)):
            assert time.monotonic() < deadline, "the gateway or its console did not get ready"
            time.sleep(0.1)
        yield port, url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
    deadline = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < deadline, "the console outlived its server"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def attack(port: int, seed: int) -> None:
    """A row of noise, with hostile text wherever a caller can put some."""
    row = np.random.default_rng(seed).integers(0, 17, size=(1, 1, 8, 8)) / 16
    tensor = {"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": row.ravel().tolist()}
    document = {"id": HOSTILE, "inputs": [tensor], "parameters": {HOSTILE: HOSTILE}}
    assert ask(port, "POST", "/v2/models/digits/infer", document)[0] == 403


async def until(page: Page, expression: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not await page.run(expression):
        assert time.monotonic() < deadline, f"in {within_s} s not: {expression}"
        await asyncio.sleep(0.05)


async def faults(page: Page) -> list[Any]:
    """What axe-core finds serious on the page."""
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    await page.call("Runtime.evaluate", expression=axe)
    found = await page.run("axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes[0].html]))")
    return [fault for fault in found if fault[0] in SERIOUS]


async def visit(program: str, port: int, url: str) -> str:
    """An attack arrives while the list is open; it is looked at and marked. Gives back its address."""
    async with browsing(program) as page:
        await page.look("light")
        await page.open(f"{url}/requests")
        assert await page.run("document.querySelectorAll('.list tbody tr').length") == 0
        attack(port, 0)
        await until(page, "document.querySelectorAll('.list tbody tr').length === 1", within_s=2.0)
        await page.follow("document.querySelector('.list tbody a').click()")
        assert await page.run("document.querySelector('.stages .decided b').textContent")
        assert await page.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert await page.run("document.images.length") >= 1
        assert "<script>alert" in await page.run("document.querySelector('main').innerText")
        await page.run("document.querySelector('textarea').value = 'seen before'")
        await page.follow("document.querySelector('button[value=attack]').click()")
        assert await page.run("document.querySelector('#mark .mark').textContent") == "attack"
        here = str(await page.run("location.pathname"))
        for path in ("/", "/requests", "/requests?together=principal", here, "/calibration/digits", "/principals"):
            for scheme in SCHEMES:
                await page.look(scheme)
                await page.open(url + path)
                assert await faults(page) == [], (scheme, path)
            await page.look("light", 390)
            wide = await page.run("document.documentElement.scrollWidth - 390")
            assert wide <= 0, f"{path} is {wide} pixels wider than a phone"
        await keyboard(page, url)
        assert page.errors == []
        assert {address.split("/")[2] for address in page.requests if "://" in address} == {url.split("/")[2]}
        return here


async def keyboard(page: Page, url: str) -> None:
    """The first stop leads past the navigation; `/` to the search."""
    await page.open(f"{url}/requests")
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert await page.run("document.activeElement.className") == "skip"
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="/", code="Slash", windowsVirtualKeyCode=191)
    assert await page.run("document.activeElement.name") == "q"


async def revisit(program: str, url: str, path: str) -> str:
    async with browsing(program) as page:
        await page.open(url + path)
        return str(await page.run("document.querySelector('#mark').innerText"))


def test_an_operator_sees_an_attack_and_marks_it(folder: Path) -> None:
    program = found()
    assert program is not None
    with served(folder) as (port, url):
        path = asyncio.run(visit(program, port, url))
    with served(folder) as (_, url):
        said = asyncio.run(revisit(program, url, path))
    assert "attack" in said
