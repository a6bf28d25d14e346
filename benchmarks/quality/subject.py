"""What is benchmarked: a trained model, the files a chain is calibrated from, and honest rows that neither has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import Images, Labeled
from benchmarks.networks import Trained, predict


@dataclass(frozen=True)
class Probe:
    """Rows (n, *row shape) of one kind. `role` is honest, attack, corrupted, outside or tampered.

    `family` names the kind of an attack, `tried` how many rows it was run on.
    """

    name: str
    role: str
    x: Images
    family: str = ""
    tried: int | None = None


@dataclass(frozen=True)
class Subject:
    """`victims` are rows that the model gets right, `fresh` any honest ones; the model saw neither.

    `epsilon` is what the attack that knows the chain may change, as a share of the range; `spoken` says it in words.
    `cost` is the most forward passes a row that the default chain may take.
    """

    name: str
    title: str
    trained: Trained
    reference: Path
    holdout: Path
    fresh: Labeled
    victims: Labeled
    accuracy: float
    epsilon: float
    spoken: str
    probes: Callable[[], Iterable[Probe]]
    remarks: tuple[str, ...] = ()
    input: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None


def right(trained: Trained, rows: Labeled) -> Labeled:
    """The rows whose class the model gets right."""
    same = predict(trained.network, rows.x) == rows.y
    return Labeled(rows.x[same], rows.y[same])


def accuracy(trained: Trained, rows: Labeled) -> float:
    """The share that the model gets right."""
    return float(np.mean(predict(trained.network, rows.x) == rows.y))
