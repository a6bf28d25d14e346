"""Headless Chromium over its own debugging protocol: opens pages, clicks, takes pictures, hears what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
_READY_S = 20.0
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def found() -> str | None:
    """The browser's program, if this machine has one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(slots=True)
class Page:
    """One tab. `errors` are what its console, its network and its content policy complained of; `requests` all it asked
    for.
    """

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _last: int = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol.

        Raises:
            RuntimeError: the browser refuses it.
        """
        self._last += 1
        waiting = self._answers[self._last] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self._last, "method": method, "params": parameters})
        answer = await asyncio.wait_for(waiting, 30)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    async def listen(self) -> None:
        """Takes in what the browser says, until it closes."""
        async for message in self.socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._hear(said["method"], said["params"])

    def _hear(self, what: str, told: dict[str, Any]) -> None:
        if what == "Page.loadEventFired":
            self._loaded.set()
        elif what == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif what == "Network.loadingFailed" and not told.get("canceled"):
            self.errors.append(f"network: {told['errorText']}")
        elif what == "Runtime.exceptionThrown":
            self.errors.append(f"exception: {told['exceptionDetails']['text']}")
        elif what == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.errors.append(f"console: {told['args']}")
        elif what == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"log: {told['entry']['text']}")

    async def look(self, scheme: Scheme, width: int = 1280, height: int = 900) -> None:
        """The size of the window, and whether its owner prefers light or dark."""
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=wanted)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def open(self, url: str) -> None:
        """Loads the page."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; of the promise, if it is one.

        Raises:
            RuntimeError: it throws.
        """
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"].get("exception", answer["exceptionDetails"])))
        return answer["result"].get("value")

    async def follow(self, script: str) -> None:
        """Does what leads to another page, and waits for that."""
        self._loaded.clear()
        await self.run(script)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def picture(self, file: Path, height: float = float("inf")) -> None:
        """The page as PNG: all of it, or as much as is so high; not only what the window shows."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height), "scale": 1}
        shot = await self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browsing(program: str) -> AsyncIterator[Page]:
    """A new browser with an empty profile and one page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session, await _connect(session, port) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                yield page
                listening.cancel()
        finally:
            browser.terminate()
            browser.wait(10)


async def _port(file: Path) -> int:
    for _ in range(int(_READY_S * 10)):
        await asyncio.sleep(0.1)
        if file.is_file() and (text := file.read_text()).strip():
            return int(text.split()[0])
    raise RuntimeError(f"the browser did not start in {_READY_S:g} s")


async def _connect(session: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = await answer.json()
    where = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return await session.ws_connect(where, max_msg_size=2**27)
