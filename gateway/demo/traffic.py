"""The well-formed rows that the demo sends: honest ones, attacks on the model, and rows from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from attacks.pgd import on_grid, pgd
from gateway.demo.digits import BOUNDS, STEP, Rows
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


def groups(network: Network, honest: Rows, seed: int = 0) -> Iterator[Group]:
    """What is sent, kind by kind."""
    yield Group("honest, never seen", honest.x, honest.y)
    yield from attacks(network, honest, seed)
    yield from foreign(honest, seed)


def attacks(network: Network, honest: Rows, seed: int) -> Iterator[Group]:
    """PGD against the model: rows rounded to the gray levels that real scans have, and the same unrounded.

    Only rows that the model got right and that fool it, after rounding where they are rounded, count as adversarial.
    """
    x, y = torch.from_numpy(honest.x), torch.from_numpy(honest.y)
    raw = pgd(network, x, y, epsilon=EPSILON, steps=STEPS, bounds=BOUNDS, seed=seed)
    right = network(x).argmax(dim=1) == y
    for name, rows in (
        ("PGD, on the gray levels", on_grid(raw, step=STEP, bounds=BOUNDS)),
        ("PGD, between the levels", raw),
    ):
        fooled = right & (network(rows).argmax(dim=1) != y)
        yield Group(name, rows[fooled].numpy(), honest.y[fooled.numpy()])


def foreign(honest: Rows, seed: int) -> Iterator[Group]:
    """Rows that are no digits, all of them in the bounds and on the gray levels: nothing but their look is wrong."""
    random = np.random.default_rng(seed)
    shape = (FOREIGN, *honest.x.shape[1:])
    noise = random.integers(0, 17, size=shape) * STEP
    constants = np.broadcast_to(np.arange(17).reshape(-1, 1, 1, 1) * STEP, (17, *shape[1:]))
    yield Group("uniform noise", noise.astype(np.float32))
    yield Group("one gray level", constants.astype(np.float32))
    yield Group("inverted digits", (1.0 - honest.x[:FOREIGN]).astype(np.float32))
