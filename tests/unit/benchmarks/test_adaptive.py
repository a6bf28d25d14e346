from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from benchmarks.adaptive.report import Line, keep
from benchmarks.data import Labeled
from benchmarks.detection.judging import Found
from benchmarks.networks import Trained
from benchmarks.quality.adaptive import Adaptive
from benchmarks.quality.effort import QUICK
from benchmarks.quality.subject import Subject
from benchmarks.statistics import Rate

ROWS = Labeled(np.zeros((20, 1, 28, 28), dtype=np.float32), np.zeros(20, dtype=np.int64))


def test_the_page_tells_what_is_past_at_each_epsilon(tmp_path: Path) -> None:
    trained = Trained(torch.nn.Identity(), tmp_path / "model.onnx")
    subject = Subject("mnist", "MNIST", trained, tmp_path, tmp_path, ROWS, ROWS, 0.99, 0.2, "51/255", probes=lambda: ())
    found = Adaptive(
        "default chain",
        fooled=Rate(18, 20),
        found=Found(Rate(1, 18), Rate(2, 18)),
        past=Rate(16, 20),
        blind=("own",),
        naive_fooled=Rate(20, 20),
        naive_past=Rate(3, 20),
        by={"asleep": 13, "PGD": 3},
    )
    lines = [Line(8 / 255, found, 1.0, 1.2), Line(0.3, found, 1.0, 1.2), Line(1.0, found, 1.0, 1.2)]
    page = keep(subject, lines, QUICK, machine.facts(()), "python -m benchmarks.adaptive", tmp_path).read_text()
    (row,) = [line for line in page.splitlines() if "| 8/255 |" in line]
    assert "15.0 [3.2, 37.9] | 90.0 [68.3, 98.8] | 80.0 [56.3, 94.3]" in row
    assert "| 0.3 |" in page
    assert "default chain, 1: 13 by asleep, 3 by PGD" in page
    kept = json.loads((tmp_path / "adaptive-mnist.json").read_text())
    assert [line["past"]["k"] for line in kept["lines"]] == [16, 16, 16]
