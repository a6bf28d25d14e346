from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.data import smooth_images
from benchmarks.serving.bodies import OIP_BINARY, request, written
from benchmarks.serving.client import Order
from benchmarks.serving.load import ClientFailed, sent
from benchmarks.serving.process import free_port


def test_a_client_that_fails_is_heard(tmp_path: Path) -> None:
    requests = written(tmp_path / "requests", "/infer", OIP_BINARY, smooth_images(1, seed=0))
    with pytest.raises(ClientFailed, match="ConnectionRefusedError"):
        sent(Order(free_port(), 1, 0.1, 0.1, str(requests), ()))


def test_a_folder_of_requests_holds_one_a_row_and_nothing_old(tmp_path: Path) -> None:
    x = smooth_images(3, seed=0)
    for rows in (x, x[1:]):
        folder = written(tmp_path / "requests", "/infer", OIP_BINARY, rows)
    found = [file.read_bytes() for file in sorted(folder.iterdir())]
    assert found == [request("/infer", OIP_BINARY, row[None]) for row in x[1:]]
