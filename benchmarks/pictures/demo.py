"""The demo's console: curves, requests, one request, a calibration."""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks.pictures.gallery import Gallery
from benchmarks.serving.process import free_port
from benchmarks.watchgate import ran, running

_WATCHED_S = 40.0  # until the curves have something to show


def draw(folder: Path, gallery: Gallery) -> None:
    """Pictures of a demo that has shown its table and goes on serving."""
    port = free_port()
    words = ("demo", "--dir", "demo", "--port", str(free_port()), "--console-port", str(port))
    with running(folder, *words, ready=lambda: "serving; Ctrl-C stops" in (folder / "log").read_text()):
        time.sleep(_WATCHED_S)
        pages = {
            "overview": "/?range=15m",
            "requests": "/requests",
            "request": f"/requests/{newest(folder / 'demo', 'flag')}",
            "calibration": "/calibration/digits",
        }
        gallery.take(f"http://127.0.0.1:{port}", pages, phone="phone")


def newest(folder: Path, verdict: str) -> str:
    """The id of the newest request with this verdict."""
    listed = ran(folder, "traces", "list", "--verdict", verdict, "--limit", "1", "--json")
    return str(json.loads(listed)["traces"][0]["id"])
