"""A caller over HTTP with any principal's name, and the marks as the gateway's state folder tells them."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import numpy as np

from gateway.state.principals.file import PrincipalFile
from models.batch import Array

NAMED = "x-principal"  # the config trusts it of this machine


class Caller:
    """One connection; every request says whose it is."""

    def __init__(self, port: int, endpoint: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._path = f"/v2/models/{endpoint}/infer"

    def ask(self, x: Array, principal: str) -> Array:
        """The logits of rows (n, *row shape).

        Raises:
            RuntimeError: the endpoint refused.
        """
        tensor = {"name": "image", "datatype": "FP32", "shape": list(x.shape)}
        size = {"parameters": {"binary_data_size": x.nbytes}}
        head = json.dumps({"inputs": [tensor | size], "parameters": {"binary_data_output": True}}).encode()
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(head)),
            NAMED: principal,
        }
        self._connection.request("POST", self._path, head + x.tobytes(), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body[:200]!r}")
        told = int(answer.headers["inference-header-content-length"])
        return np.frombuffer(body[told:], dtype=np.float32).reshape(len(x), -1)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


class Marked:
    """Which principals are marked, as all workers of the gateway are told."""

    def __init__(self, state: Path) -> None:
        self._store = PrincipalFile.open(state)

    def names(self) -> set[str]:
        """Those marked now."""
        return set(self._store.marks(time.time_ns()))

    def close(self) -> None:
        """Lets go of the file."""
        self._store.close()
