"""A model of one's own: `init`, `calibrate`, `serve` as commands, a request over HTTP, and an orderly end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests import digits
from tests.command import infer, run, serving
from tests.ports import free_port


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_from_a_model_file_to_an_answer_and_a_trace(tmp_path: Path) -> None:
    digits.write(tmp_path)
    given = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    assert run(tmp_path, "init", *given).returncode == 0
    assert run(tmp_path, "calibrate", "--quick").returncode == 0
    with np.load(tmp_path / "test.npz") as rows:
        x = rows["x"][:64]
    session = onnxruntime.InferenceSession(str(tmp_path / "digits.onnx"))
    port = free_port()
    with serving(tmp_path, port) as server:
        verdicts = [infer(port, row[None]) for row in x]
        rejected, answer = infer(port, x[:1] + np.float32(0.01))  # no scan has such gray levels
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
    plain = [
        (row, document["outputs"][0]["data"])
        for row, (status, document) in zip(x, verdicts, strict=True)
        if status == 200 and len(document["outputs"]) == 1
    ]
    assert len(plain) > 50
    for row, logits in plain:
        np.testing.assert_allclose(session.run(None, {"x": row[None]})[0][0], logits, rtol=1e-5, atol=1e-5)
    assert rejected == 403
    listed = json.loads(run(tmp_path, "traces", "list", "--verdict", "reject", "--json").stdout)
    assert answer["id"] in [trace["id"] for trace in listed["traces"]]
