"""Somebody who knows only the README finds the flagged request that the demo made, and reads why it was flagged."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.browser import Page, browsing, found
from gateway.explaining.words import WORDS
from tests.command import ENVIRONMENT, WATCHGATE, run
from tests.pages import faults
from tests.ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(found() is None, reason="no Chromium on this machine: apt-get install chromium"),
]
README = (Path(__file__).parents[2] / "README.md").read_text()
READY_S = 400.0


@contextmanager
def demo(folder: Path) -> Iterator[tuple[str, str]]:
    """What `make demo` starts, and what it has printed once it serves: its output, and its notes."""
    ports = ("--port", str(free_port()), "--console-port", str(free_port()))
    said, notes = folder / "said", folder / "notes"
    with said.open("wb") as out, notes.open("wb") as err:
        running = subprocess.Popen(
            [*WATCHGATE, "demo", *ports, "--dir", "demo"], cwd=folder, env=ENVIRONMENT, stdout=out, stderr=err
        )
    try:
        deadline = time.monotonic() + READY_S
        while "serving; Ctrl-C stops" not in notes.read_text():
            assert running.poll() is None, notes.read_text()
            assert time.monotonic() < deadline, "the demo did not get ready"
            time.sleep(0.3)
        yield said.read_text(), notes.read_text()
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(60)


def steps() -> list[str]:
    """The README's numbered steps."""
    text = README.split("### What the demo stopped, and why")[1].split("\n## ")[0]
    return re.findall(r"^\d\. (.*)$", text, re.MULTILINE)


async def click(page: Page, script: str) -> None:
    assert await page.run(f"{script} !== undefined"), script
    await page.follow(f"{script}.click()")


async def follow(program: str, address: str, link: str) -> dict[str, str]:
    """Opens the address and clicks as told; what the page then says."""
    async with browsing(program) as page:
        await page.look("light")
        await page.open(address)
        assert await page.run("document.querySelector('h1').textContent") == "Overview"
        named = f"a => a.textContent.trim().toLowerCase() === {json.dumps(link.lower())}"
        await click(page, f"[...document.links].find({named})")
        await click(page, "[...document.querySelectorAll('.list tbody tr')].map(r => r.querySelector('a'))[0]")
        assert await faults(page) == []
        assert page.errors == []
        assert await page.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        return {
            "id": str(await page.run("location.pathname.split('/').pop()")),
            "title": str(await page.run("document.querySelector('.summary h2').innerText")),
            "why": str(await page.run("document.querySelector('.summary').innerText")),
            "decided": str(await page.run("document.querySelector('.stages .decided b').textContent")),
            "page": str(await page.run("document.querySelector('main').innerText")),
        }


@pytest.mark.timeout(600)
def test_three_clicks_from_the_readme_to_the_reason(tmp_path: Path) -> None:
    opening, first, second = steps()
    assert opening.startswith("Open the address that it prints under *look at what was stopped*")
    link = re.findall(r"^Click \*\*(.+?)\*\*", first)[0]
    assert second.startswith("Click the **id** in the first line")
    promised = re.findall(r"begins with \*(.+?)\*", second)[0]
    program = found()
    assert program is not None
    with demo(tmp_path) as (said, _):
        address = re.findall(r"look at what was stopped, and why, in a browser:\s+(http://\S+)", said)[0]
        read = asyncio.run(follow(program, address, link))
        listed = run(tmp_path, "traces", "list", "--verdict", "flag", "--config", "demo/watchgate.yaml", "--json")
    assert read["id"] in {trace["id"] for trace in json.loads(listed.stdout)["traces"]}
    assert read["title"] == promised
    assert f"was flagged on the evidence of {read['decided']}" in read["why"]
    assert "Of honest rows, about" in read["why"]
    assert any(words[:40] in read["why"] for words in WORDS.values())
    for part in ("Nearest reference rows", "purified", "difference"):
        assert part in read["page"]
