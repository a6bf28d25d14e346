"""The console in a real browser, over a real gateway: what an operator sees and does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from benchmarks.browser import SCHEMES, browsing, found
from tests import digits
from tests.command import ask, run, serving_with_console
from tests.pages import faults, keyboard, shown
from tests.unit.gateway.console.conftest import HOSTILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(found() is None, reason="no Chromium on this machine: apt-get install chromium"),
]


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


def attack(port: int, seed: int) -> None:
    """A row of noise, with hostile text wherever a caller can put some."""
    row = np.random.default_rng(seed).integers(0, 17, size=(1, 1, 8, 8)) / 16
    tensor = {"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": row.ravel().tolist()}
    document = {"id": HOSTILE, "inputs": [tensor], "parameters": {HOSTILE: HOSTILE}}
    assert ask(port, "POST", "/v2/models/digits/infer", document)[0] == 403


async def visit(program: str, port: int, url: str) -> str:
    """An attack arrives while the list is open; it is looked at and marked. Gives back its address."""
    async with browsing(program) as page:
        await page.look("light")
        await page.open(f"{url}/requests")
        assert await page.run("document.querySelectorAll('.list tbody tr').length") == 0
        attack(port, 0)
        await shown(page, "document.querySelectorAll('.list tbody tr').length === 1", within_s=2.0)
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


async def revisit(program: str, url: str, path: str) -> str:
    async with browsing(program) as page:
        await page.open(url + path)
        return str(await page.run("document.querySelector('#mark').innerText"))


def test_an_operator_sees_an_attack_and_marks_it(folder: Path) -> None:
    program = found()
    assert program is not None
    with serving_with_console(folder) as (port, url):
        path = asyncio.run(visit(program, port, url))
    with serving_with_console(folder) as (_, url):
        said = asyncio.run(revisit(program, url, path))
    assert "attack" in said
