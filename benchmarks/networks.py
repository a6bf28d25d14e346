"""Networks that benchmarks attack: trained once, seeded, and cached, as torch differentiates them and as ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data import Images, Labeled, Labels

SEED = 0
BATCH_ROWS = 128


@dataclass(frozen=True)
class Trained:
    """The same network twice: as torch differentiates it, and as the ONNX file that is served."""

    network: nn.Module
    onnx: Path


def once(
    build: Callable[[], nn.Module], fit: Callable[[nn.Module], None], folder: Path, shape: tuple[int, ...]
) -> Trained:
    """The network that `fit` trained, from the folder where it was trained before; `shape` is a row's."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, onnx = folder / "weights.pt", folder / "model.onnx"
    torch.manual_seed(SEED)
    network = build()
    if weights.exists():
        network.load_state_dict(torch.load(weights, weights_only=True))
    else:
        fit(network)
        torch.save(network.state_dict(), weights)
    network.eval().requires_grad_(False)
    if not onnx.exists():
        export(network, onnx, shape)
    return Trained(network, onnx)


def batches(train: Labeled, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: rows and classes in an order by chance, whole batches only."""
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    whole = len(train) // BATCH_ROWS * BATCH_ROWS
    for rows in torch.randperm(len(train), generator=random)[:whole].split(BATCH_ROWS):  # type: ignore[no-untyped-call]
        yield x[rows], y[rows]


def fit_with_adam(network: nn.Module, train: Labeled, epochs: int, weight_decay: float = 0.0) -> None:
    """Adam on cross-entropy with a falling rate."""
    order = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(train) // BATCH_ROWS))
    network.train()
    for _ in range(epochs):
        for x, y in batches(train, order):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


def export(network: nn.Module, path: Path, shape: tuple[int, ...]) -> None:
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
