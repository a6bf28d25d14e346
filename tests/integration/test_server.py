"""The app under a real server, spoken to byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from tests import served
from tests.wired import tensor

INFER = "/v2/models/m/infer"
X = np.random.default_rng(1).random((2, 12), dtype=np.float32)
BODY = json.dumps({"inputs": [tensor(X.tolist(), X.shape)]}).encode()


@pytest.fixture
def recorder() -> served.Listed:
    return served.Listed()


@pytest.fixture
def port(tmp_path: Path, recorder: served.Listed) -> Iterator[int]:
    """A server with a body limit of 10 kB and a body time of 0.4 s."""
    limits = {"max_body_bytes": 10_000, "timeout_ms": 400}
    app = served.app(tmp_path, [served.endpoint("m", served.table_model(tmp_path), limits=limits)], recorder)
    config = uvicorn.Config(app, log_config=None, access_log=False, loop="uvloop", http="httptools", lifespan="on")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    found: int = listener.getsockname()[1]
    yield found
    server.should_exit = True
    thread.join(20)
    listener.close()


def head(length: int | None = len(BODY), *lines: str, path: str = INFER) -> bytes:
    told = () if length is None else (f"content-length: {length}",)
    return "\r\n".join((f"POST {path} HTTP/1.1", "host: gateway", *told, *lines, "", "")).encode()


class Connection:
    """A connection that can be sent anything."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.read = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def line(self) -> bytes:
        return self._until(b"\r\n")

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and document of the next answer."""
        status = int(self.line().split()[1])
        lines = self._until(b"\r\n\r\n").decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", 0))
        while len(self.read) < size:
            self._more()
        content, self.read = self.read[:size], self.read[size:]
        return status, headers, json.loads(content) if content else None

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self.read:
            self._more()
        found, _, self.read = self.read.partition(end)
        return found

    def _more(self) -> None:
        chunk = self.socket.recv(65536)
        assert chunk, f"the server hung up after {self.read!r}"
        self.read += chunk


@pytest.fixture
def connection(port: int) -> Iterator[Connection]:
    with closing(Connection(port)) as found:
        yield found


def test_a_connection_is_used_again_also_after_a_refusal(connection: Connection) -> None:
    for length, content, status in [(len(BODY), BODY, 200), (2, b"{}", 400), (len(BODY), BODY, 200)]:
        connection.send(head(length), content)
        assert connection.answer()[0] == status


def test_requests_may_be_sent_ahead(connection: Connection) -> None:
    connection.send(*[head(), BODY] * 3)
    assert [connection.answer()[0] for _ in range(3)] == [200, 200, 200]


def test_a_long_body_is_refused_by_what_it_says_of_itself(connection: Connection) -> None:
    started = time.monotonic()
    connection.send(head(10**12), b"x" * 1000)
    status, headers, document = connection.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert document["error"] == "body: expected at most 10000 bytes, found 1000000000000"
    assert time.monotonic() - started < 0.3
    assert connection.is_closed()


def test_a_long_body_is_refused_before_it_is_sent(connection: Connection) -> None:
    connection.send(head(10**12, "expect: 100-continue"))
    assert connection.answer()[0] == 413


def test_a_caller_that_asks_first_is_told_to_go_on(connection: Connection) -> None:
    connection.send(head(len(BODY), "expect: 100-continue"))
    assert connection.line() == b"HTTP/1.1 100 Continue"
    connection.line()
    connection.send(BODY)
    assert connection.answer()[0] == 200


def test_a_chunked_body_is_refused_once_it_is_too_long(connection: Connection) -> None:
    connection.send(head(None, "transfer-encoding: chunked"))
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    for _ in range(11):
        connection.send(chunk)
        time.sleep(0.01)
    assert connection.answer()[0] == 413


def test_a_chunked_body_is_read(connection: Connection) -> None:
    connection.send(head(None, "transfer-encoding: chunked"))
    for start in range(0, len(BODY), 50):
        part = BODY[start : start + 50]
        connection.send(b"%x\r\n%b\r\n" % (len(part), part))
    connection.send(b"0\r\n\r\n")
    assert connection.answer()[0] == 200


@pytest.mark.parametrize("sent", [0, 10])
def test_a_body_that_does_not_come_is_given_up(connection: Connection, sent: int) -> None:
    connection.send(head(), BODY[:sent])
    started = time.monotonic()
    status, headers, document = connection.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert "expected within 0.4 s" in document["error"]
    assert 0.3 < time.monotonic() - started < 2
    assert connection.is_closed()


def test_a_caller_that_hangs_up_leaves_nothing_behind(port: int, recorder: served.Listed) -> None:
    for sent in (b"", BODY[:10]):
        with closing(Connection(port)) as leaving:
            leaving.send(head(), sent)
    with closing(Connection(port)) as staying:
        staying.send(head(), BODY)
        assert staying.answer()[0] == 200
    assert len(recorder.seen) == 1


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head(5, path="/v2/models/none/infer"), 404),
        (head(5, "content-type: text/plain"), 415),
        (head(5, "content-encoding: gzip"), 415),
        (head(5, "inference-header-content-length: 9"), 400),
        (head(5, "inference-header-content-length: 1", "inference-header-content-length: 2"), 400),
    ],
)
def test_refusals_leave_no_connection_in_doubt(port: int, request_head: bytes, status: int) -> None:
    """Whatever the server read of the body, the caller's next request is understood, or the connection is closed."""
    with closing(Connection(port)) as connection:
        connection.send(request_head, b"hello")
        found, headers, _ = connection.answer()
        assert found == status
        if headers.get("connection") != "close":
            connection.send(head(), BODY)
            assert connection.answer()[0] == 200


def test_what_is_not_http_is_refused(connection: Connection) -> None:
    connection.send(b"hello\r\n\r\n")
    assert connection.line().split()[1] == b"400"


def test_many_at_once_all_get_their_own_answer(port: int, recorder: served.Listed) -> None:
    rng = np.random.default_rng(3)
    wrong = []

    def ask(seed: int) -> None:
        with closing(Connection(port)) as connection:
            for _ in range(20):
                x = rng.random((1, 12), dtype=np.float32)
                content = json.dumps({"inputs": [tensor(x.tolist(), x.shape)], "id": str(seed)}).encode()
                connection.send(head(len(content)), content)
                status, _, document = connection.answer()
                expected = (x @ served.WEIGHTS).ravel()
                if status != 200 or not np.allclose(document["outputs"][0]["data"], expected, rtol=1e-4, atol=1e-5):
                    wrong.append((status, document))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert len(recorder.seen) == 160
