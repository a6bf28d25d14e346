"""The demo's model: a small convolutional network, trained in seconds and exported to ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from defenses.training.threads import one_thread
from gateway.demo.digits import Rows

EPOCHS, BATCH, RATE = 12, 50, 2e-3


class Network(nn.Module):
    """(n, 1, 8, 8) gray levels in [0, 1] to (n, 10) logits; the penultimate layer has 64 values."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the rows."""
        logits: Tensor = self.head(self.body(x))
        return logits


def train(rows: Rows, seed: int = 0) -> Network:
    """A network trained on the rows; the same seed gives the same weights on the same machine."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network()
        x, y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
        steps = EPOCHS * -(-len(x) // BATCH)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for part in torch.split(torch.randperm(len(x)), BATCH):
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(network(x[part]), y[part]))
                optimizer.step()
                schedule.step()
    return network.eval().requires_grad_(False)


def export(network: Network, path: Path) -> None:
    """Writes the network as ONNX with input `x`, output `logits` and a free batch axis."""
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter warns about its own internals
            torch.onnx.export(
                network,
                (torch.zeros(2, 1, 8, 8),),
                str(path),
                input_names=["x"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
