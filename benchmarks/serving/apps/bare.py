"""The limit: onnxruntime in an ASGI function, bytes in, bytes out, nothing checked, nothing recorded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import SIDE
from benchmarks.serving.nets import single_threaded

session = single_threaded(Path(os.environ["BENCH_MODEL"]))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers every request with the logits of its body."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    logits = b""
    if body:
        logits = session.run(["logits"], {"image": np.frombuffer(body, np.float32).reshape(-1, 1, SIDE, SIDE)})[
            0
        ].tobytes()
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(logits)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": logits})
