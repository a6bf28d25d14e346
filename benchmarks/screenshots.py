"""`python -m benchmarks.screenshots`: every page of the console over a real demo, light and dark, into docs/images."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import driftscene, principalscene
from benchmarks.browser import SCHEMES, Page, browsing, found

PHONE = (390, 844)
_READY_S = 240.0
_WATCHED_S = 40.0  # until the curves have something to show


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def first(config: Path, verdict: str) -> str:
    """The id of the newest request with this verdict."""
    command = [sys.executable, "-m", "gateway.cli", "traces", "list", "--verdict", verdict, "--limit", "1", "--json"]
    listed = subprocess.run([*command, "--config", str(config)], capture_output=True, text=True, check=True)
    return str(json.loads(listed.stdout)["traces"][0]["id"])


async def shoot(page: Page, base: str, config: Path, out: Path) -> None:
    paths = {
        "overview": "/?range=15m",
        "requests": "/requests",
        "request": f"/requests/{first(config, 'flag')}",
        "calibration": "/calibration/digits",
    }
    for scheme in SCHEMES:
        await page.look(scheme)
        for name, path in paths.items():
            await page.open(base + path)
            await page.picture(out / f"console-{name}-{scheme}.png", height=1100)
    await page.look("light", *PHONE)
    await page.open(base + paths["overview"])
    await page.picture(out / "console-phone.png", height=1100)


def wait_for(demo: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while "serving; Ctrl-C stops" not in log.read_text():
        if demo.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the demo did not come up:\n{log.read_text()}")
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    options = parser.parse_args()
    program = found()
    if program is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        folder, log, port = Path(work) / "demo", Path(work) / "log", free_port()
        command = [sys.executable, "-m", "gateway.cli", "demo", "--dir", str(folder), "--port", str(free_port())]
        with log.open("wb") as said:
            demo = subprocess.Popen(
                [*command, "--console-port", str(port)],
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "BENTOML_DO_NOT_TRACK": "true"},
            )
        try:
            wait_for(demo, log)
            time.sleep(_WATCHED_S)
            asyncio.run(take(program, f"http://127.0.0.1:{port}", folder / "watchgate.yaml", options.out))
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)
    driftscene.draw(program, options.out)
    principalscene.draw(program, options.out)


async def take(program: str, base: str, config: Path, out: Path) -> None:
    async with browsing(program) as page:
        await shoot(page, base, config, out)
        for error in page.errors:
            print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
