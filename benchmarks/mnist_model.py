"""The MNIST classifier that detection benchmarks attack: a three-layer CNN, trained here once, seeded, and cached."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.data import CACHE, Images, Labeled, Labels

SEED = 0
EPOCHS = 2
BATCH_ROWS = 128


@dataclass(frozen=True)
class Trained:
    """The same network twice: as torch differentiates it, and as the ONNX file that is served."""

    network: nn.Module
    onnx: Path


def build() -> nn.Sequential:
    """Two convolutions and a hidden dense layer before the classes; input (n, 1, 28, 28) in [0, 1]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def trained(train: Labeled, folder: Path = CACHE / "mnist") -> Trained:
    """The network trained on these rows, from the cache where it was trained before."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, onnx = folder / "weights.pt", folder / "model.onnx"
    torch.manual_seed(SEED)
    network = build()
    if weights.exists():
        network.load_state_dict(torch.load(weights, weights_only=True))
    else:
        fit(network, train)
        torch.save(network.state_dict(), weights)
    network.eval().requires_grad_(False)
    if not onnx.exists():
        export(network, onnx)
    return Trained(network, onnx)


def fit(network: nn.Module, train: Labeled, epochs: int = EPOCHS) -> None:
    """Adam on cross-entropy with a falling rate; rows in a seeded order."""
    order = torch.Generator().manual_seed(SEED)
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    steps = epochs * (len(train) // BATCH_ROWS)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(train), generator=order)[: steps // epochs * BATCH_ROWS].split(BATCH_ROWS):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


def export(network: nn.Module, path: Path, shape: tuple[int, ...] = (1, 28, 28)) -> None:
    """Writes the network as one ONNX file with a free batch axis; `shape` is a row's."""
    rows = torch.export.Dim("rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            network,
            (torch.zeros(2, *shape),),
            path,
            input_names=["image" if len(shape) > 1 else "x"],
            output_names=["logits"],
            dynamic_shapes=({0: rows},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def predict(network: nn.Module, x: Images, batch_rows: int = 512) -> Labels:
    """The class of each row, (n,)."""
    starts = range(0, len(x), batch_rows)
    with torch.no_grad():
        parts = [network(torch.from_numpy(x[start : start + batch_rows])).argmax(1).numpy() for start in starts]
    return np.asarray(np.concatenate(parts), dtype=np.int64)
