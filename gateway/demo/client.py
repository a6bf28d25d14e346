"""A caller: sends rows and requests over HTTP with the standard library, and reads the answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.demo.malformed import PATH, Malformed, valid
from models.batch import Array

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the verdict and class where there is one, and the server's id of the request."""

    status: int
    verdict: str | None = None
    label: int | None = None
    id: str | None = None


class Client:
    """One caller with one connection that is kept open."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def infer(self, row: Array) -> Answer:
        """Asks for the class of one row."""
        status, headers, document = self._ask("POST", PATH, valid(row), {"content-type": "application/json"})
        return _answer(status, headers, document)

    def send(self, request: Malformed) -> Answer:
        """Sends a malformed request; a connection that the server closes early still yields its answer."""
        status, headers, document = self._ask(request.method, request.path, request.body, request.headers)
        return _answer(status, headers, document)

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Whether the endpoint is ready within the time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                status, _, _ = self._ask("GET", PATH.replace("/infer", "/ready"), b"", {})
            except OSError:
                status = 0
            if status == 200:
                return True
            time.sleep(0.1)
        return False

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], Any]:
        try:
            return self._ask_once(method, path, body, headers)
        except http.client.RemoteDisconnected:  # the server ended a connection that was idle for seconds
            return self._ask_once(method, path, body, headers)

    def _ask_once(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], Any]:
        connection = self._connection
        try:
            # A request refused before its body was read whole breaks the pipe; its answer is there already.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body=body or None, headers=dict(headers))
            response = connection.getresponse()
            payload = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, _json(payload)


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def _answer(status: int, headers: Mapping[str, str], document: Any) -> Answer:
    fields = document if isinstance(document, dict) else {}
    name = headers.get("x-watchgate-id") or fields.get("id")
    if status != 200:
        return Answer(status, "reject" if status == 403 else None, None, name)
    outputs = {output["name"]: output["data"] for output in fields.get("outputs", [])}
    label = int(np.argmax(outputs["logits"])) if "logits" in outputs else None
    return Answer(status, str(outputs.get("verdict", ["allow"])[0]), label, name)
