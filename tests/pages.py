"""What tests ask of a page in a real browser."""

from __future__ import annotations

import asyncio
import time
from importlib import resources
from typing import Any

from benchmarks.browser import Page

SERIOUS = ("serious", "critical")


async def shown(page: Page, expression: str, within_s: float) -> None:
    """Waits until a script's value is true."""
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


async def keyboard(page: Page, url: str) -> None:
    """The first stop leads past the navigation; `/` to the search."""
    await page.open(f"{url}/requests")
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert await page.run("document.activeElement.className") == "skip"
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="/", code="Slash", windowsVirtualKeyCode=191)
    assert await page.run("document.activeElement.name") == "q"
