"""The well-formed rows that the demo sends: honest ones, attacks on the model, and rows from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from attacks.grid import on_grid
from attacks.pgd import pgd
from gateway.demo.digits import BOUNDS, STEP, Digits, Rows
from gateway.demo.network import Network
from models.batch import Array

EPSILON = 0.22  # between 3/16 and 4/16 of the gray scale: fools the undefended model nearly always
STEPS = 20
FOREIGN = 50  # rows of each kind from elsewhere


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one kind: `x` (n, 1, 8, 8) float32; `y` (n,) the true classes, None where there is none."""

    name: str
    x: Array
    y: Array | None = None


def groups(network: Network, data: Digits, seed: int = 0) -> Iterator[Group]:
    """What is sent, kind by kind; the honest rows first."""
    yield Group("honest, never seen", data.honest.x, data.honest.y)
    yield from attacks(network, data, seed)
    yield from foreign(data.honest, seed)


def attacks(network: Network, data: Digits, seed: int) -> Iterator[Group]:
    """PGD against the model: rounded to the gray levels that real scans have; unrounded; and rounded, then moved into
    the range that each pixel has in the training rows, as an attacker would who knows the contract.

    Only rows that the model got right and that fool it, after all that was done to them, count as adversarial.
    """
    x, y = torch.from_numpy(data.honest.x), torch.from_numpy(data.honest.y)
    raw = pgd(network, x, y, epsilon=EPSILON, steps=STEPS, bounds=BOUNDS, seed=seed)
    rounded = on_grid(raw, step=STEP, bounds=BOUNDS)
    low, high = (torch.from_numpy(edge(data.train.x, axis=0)) for edge in (np.min, np.max))
    kinds = {
        "PGD on gray levels": rounded,
        "PGD between levels": raw,
        "PGD within contract": torch.minimum(torch.maximum(rounded, low), high),
    }
    right = network(x).argmax(dim=1) == y
    for name, rows in kinds.items():
        fooled = right & (network(rows).argmax(dim=1) != y)
        yield Group(name, rows[fooled].numpy(), data.honest.y[fooled.numpy()])


def foreign(honest: Rows, seed: int) -> Iterator[Group]:
    """Rows that are no digits, all of them in the bounds and on the gray levels: nothing but their look is wrong."""
    random = np.random.default_rng(seed)
    shape = (FOREIGN, *honest.x.shape[1:])
    noise = random.integers(0, 17, size=shape) * STEP
    constants = np.broadcast_to(np.arange(17).reshape(-1, 1, 1, 1) * STEP, (17, *shape[1:]))
    yield Group("uniform noise", noise.astype(np.float32))
    yield Group("one gray level", constants.astype(np.float32))
    yield Group("inverted digits", (1.0 - honest.x[:FOREIGN]).astype(np.float32))
