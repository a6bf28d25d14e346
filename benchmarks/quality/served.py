"""The ONNX file as attackers without gradients ask it."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn


class Served(nn.Module):
    """Answers logits; nothing can be differentiated."""

    def __init__(self, onnx: Path) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        self.session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def forward(self, x: Tensor) -> Tensor:
        """(n, classes)."""
        return torch.from_numpy(self.session.run(None, {self.input: x.detach().numpy()})[0])
