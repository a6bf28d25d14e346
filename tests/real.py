"""MNIST and adult with a quickly fitted network, and eight real detectors' scores of their rows.

The network is one random hidden layer and a ridge regression on it (Huang, Zhu, Siew: Extreme learning machine, 2006):
features and logits that behave like a trained network's, in a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pytest

from benchmarks.data import DataMissing, shared
from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.contract import ContractSpec
from detectors.energy import EnergySpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.nearest import NearestSpec
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, InputSpec

HIDDEN = 96
FITTED = 4000  # rows that the network and the detectors are fitted on


@dataclass(frozen=True)
class Network:
    """(n, d) rows to features (n, HIDDEN) and logits (n, classes)."""

    spec: InputSpec
    first: Array
    bias: Array
    last: Array

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("x", "FP32", (-1, *self.spec.shape)),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("logits", "FP32", (-1, self.last.shape[1])),)

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        hidden = np.maximum(batch.x @ self.first + self.bias, 0.0)
        logits = hidden @ self.last
        return Outputs({"logits": logits}, logits, hidden)


@dataclass(frozen=True)
class Real:
    """A data set in random order, and a network fitted on its first rows."""

    network: Network
    x: Array
    y: Array

    @property
    def reference(self) -> Reference:
        view = View(Batch(self.x[:FITTED].copy()), self.network)
        return Reference(view, self.network.spec, self.y[:FITTED])

    def scores(self) -> Array:
        """(n, 8) scores of the rows that nothing was fitted on."""
        view = View(Batch(self.x[FITTED:].copy()), self.network)
        specs: tuple[DetectorSpec, ...] = (
            MahalanobisSpec(),
            NearestSpec(k=1),
            NearestSpec(k=5),
            NearestSpec(k=50),
            EnergySpec(),
            DoubtSpec(),
            ContractSpec(margin=0.0),
            ResidualSpec(),
        )
        built = (spec.build(spec.fit(self.reference), self.network.spec) for spec in specs)
        return np.column_stack([detector.score(view) for detector in built]).astype(np.float32)


class Doubt:
    """One minus the largest probability (Hendrycks and Gimpel 2017)."""

    name = "doubt"

    def score(self, view: View) -> Array:
        logits = view.outputs.logits
        assert logits is not None
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(1.0 - 1.0 / odds.sum(axis=1), np.float32)


class DoubtSpec(DetectorSpec):
    kind: Literal["doubt"] = "doubt"

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Doubt()


@dataclass(frozen=True)
class Residual:
    """The share of a row that the reference's main directions leave over."""

    mean: Array
    directions: Array
    name: str = "residual"

    def score(self, view: View) -> Array:
        centered = view.x - self.mean
        return np.asarray(np.linalg.norm(centered - centered @ self.directions.T @ self.directions, axis=1), np.float32)


class ResidualSpec(DetectorSpec):
    kind: Literal["residual"] = "residual"

    def fit(self, reference: Reference) -> Arrays:
        x = reference.view.x
        mean = x.mean(axis=0)
        return {"mean": mean, "directions": np.linalg.svd(x[:1000] - mean, full_matrices=False)[2][: x.shape[1] // 3]}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Residual(arrays["mean"], arrays["directions"])


def real(name: str) -> Real:
    """The data set of this name; skips the test where its file is not on the machine."""
    try:
        x, y = {"mnist": _mnist, "adult": _adult}[name]()
    except DataMissing as missing:
        pytest.skip(str(missing))
    return _fitted(name, x, y)


@cache
def real_scores(name: str) -> Array:
    """Scores of the data set of this name, calculated once."""
    return real(name).scores()


def _mnist() -> tuple[Array, Array]:
    with np.load(shared("mnist.npz")) as file:
        x, y = file["x_test"], file["y_test"]
        more, labels = file["x_train"][:FITTED], file["y_train"][:FITTED]
    return np.concatenate([more, x]).reshape(-1, 784).astype(np.float32) / 255, np.concatenate([labels, y])


def _adult() -> tuple[Array, Array]:
    with np.load(shared("adult.npz")) as file:
        x = np.concatenate([file["num"], file["cat"]], axis=1).astype(np.float32)
        order = np.random.default_rng(0).permutation(len(x))[:16_000]
        return x[order], file["y"][order]


def _fitted(name: str, x: Array, y: Array) -> Real:
    rng = np.random.default_rng(0)
    spread = x[:FITTED].std(axis=0)
    scale = 1.0 / np.where(spread > 0.0, np.maximum(spread, 0.1 * spread.mean() if name == "mnist" else 0.0), 1.0)
    first = (rng.normal(size=(x.shape[1], HIDDEN)) * scale[:, None] / np.sqrt(x.shape[1])).astype(np.float32)
    bias = (-x[:FITTED].mean(axis=0) @ first + rng.normal(size=HIDDEN)).astype(np.float32)
    hidden = np.maximum(x[:FITTED] @ first + bias, 0.0)
    target = 8.0 * np.eye(int(y.max()) + 1)[y[:FITTED]]
    last = np.linalg.solve(hidden.T @ hidden + np.eye(HIDDEN), hidden.T @ target).astype(np.float32)
    spec = InputSpec("table", np.dtype("float32"), x.shape[1:])
    return Real(Network(spec, first, bias, last), x, y.astype(np.int64))
