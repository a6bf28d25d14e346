"""A small network in plain numpy, on scikit-learn's digits, in every shape an input may have; and an attack on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from detectors.base import Gradients, Reference, View
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, Bounds, InputSpec

HIDDEN, CLASSES, FITTED = 32, 10, 1000


@dataclass(frozen=True)
class Net:
    """One hidden layer on flattened rows (token ids: on a bag of embeddings). NaN counts as 0."""

    spec: InputSpec
    first: Array
    bias: Array
    last: Array
    embedding: Array | None = None
    with_logits: bool = True
    with_features: bool = True
    with_layers: bool = True
    log_probabilities: bool = False
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = (TensorSpec("logits", "FP32", (-1, CLASSES)),)

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        before = self._flat(batch.x) @ self.first + self.bias
        hidden = np.maximum(before, 0.0)
        logits = hidden @ self.last
        if self.log_probabilities:
            logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return Outputs(
            {"logits": logits},
            logits if self.with_logits else None,
            hidden if self.with_features else None,
            {"before": before, "hidden": hidden} if self.with_layers else {},
        )

    def _flat(self, x: Array) -> Array:
        if self.embedding is not None:
            return np.asarray(self.embedding[x].mean(axis=1))
        return np.nan_to_num(x.reshape(len(x), self.spec.size).astype(np.float32), nan=0.0)

    def differentiable(self) -> Gradients:
        """The same in torch."""
        import torch

        first, bias, last = (torch.tensor(a) for a in (self.first, self.bias, self.last))
        return lambda x, rows: torch.relu(torch.nan_to_num(x.flatten(1).float()) @ first + bias) @ last

    def gradient(self, x: Array, y: Array) -> Array:
        """Of the cross-entropy, with respect to x."""
        flat = self._flat(x)
        hidden = np.maximum(flat @ self.first + self.bias, 0.0)
        back = (_softmax(hidden @ self.last) - np.eye(CLASSES)[y]) @ self.last.T * (hidden > 0)
        return np.asarray((back @ self.first.T).reshape(x.shape))


@dataclass(frozen=True)
class Case:
    """A model, its reference, honest rows that it never saw, and adversarial rows made from them."""

    net: Net
    reference: Reference
    rows: Batch
    adversarial: Batch | None
    spec: InputSpec = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", self.net.spec)

    def with_net(
        self, logits: bool = True, features: bool = True, log_probabilities: bool = False, layers: bool = True
    ) -> Case:
        """The same data before a model that gives less."""
        net = replace(
            self.net,
            with_logits=logits,
            with_features=features,
            with_layers=layers,
            log_probabilities=log_probabilities,
        )
        view = View(self.reference.view.batch, net)
        return Case(net, replace(self.reference, view=view), self.rows, self.adversarial)


@cache
def image(layout: str = "NCHW", dtype: str = "float32") -> Case:
    """Digits as 8x8 pictures of one channel, in [0, 1] (floats) or [0, 16] (integers)."""
    shape = (1, 8, 8) if layout == "NCHW" else (8, 8, 1)
    top = 16.0 if np.dtype(dtype).kind in "iu" else 1.0
    spec = InputSpec("image", np.dtype(dtype), shape, Bounds(0.0, top), "NCHW" if layout == "NCHW" else "NHWC")
    return _case(spec, epsilon=0.2 * top)


@cache
def table(missing: bool = False, dtype: str = "float32") -> Case:
    """Digits as 64 columns, standardised with the training rows' figures; a tenth may be missing."""
    spec = InputSpec("table", np.dtype(dtype), (64,), None, missing=missing, columns=tuple(f"p{i}" for i in range(64)))
    return _case(spec, epsilon=0.7, standardise=True)


@cache
def series(shape: tuple[int, ...] = (64,)) -> Case:
    """Digits read off line by line."""
    return _case(InputSpec("series", np.dtype("float32"), shape, Bounds(0.0, 1.0)), epsilon=0.2)


@cache
def tokens() -> Case:
    """Ten ids from a vocabulary of fifty, a tenth of which a class prefers."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, 1300)
    x = np.where(rng.random((1300, 10)) < 0.7, 5 * y[:, None] + rng.integers(0, 5, (1300, 10)), rng.integers(0, 50))
    spec = InputSpec("tokens", np.dtype("int64"), (10,), Bounds(0.0, 49.0))
    embedding = rng.normal(size=(50, HIDDEN)).astype(np.float32)
    net = _trained(Net(spec, *initial(HIDDEN), embedding), x[:FITTED], y[:FITTED])
    return Case(net, Reference(View(Batch(x[:FITTED]), net), spec, y[:FITTED]), Batch(x[FITTED:]), None)


def _case(spec: InputSpec, epsilon: float, standardise: bool = False) -> Case:
    pixels, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    pixels, y = pixels[order], y[order]
    x = pixels * ((spec.bounds.high if spec.bounds else 16.0) / 16.0)
    if standardise:
        x = (x - x[:FITTED].mean(axis=0)) / np.where(x[:FITTED].std(axis=0) > 0, x[:FITTED].std(axis=0), 1.0)
    x = x.reshape(-1, *spec.shape).astype(spec.dtype)
    if spec.missing:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    net = _trained(Net(spec, *initial(spec.size)), x[:FITTED], y[:FITTED])
    rows = x[FITTED : FITTED + 200]
    attacked = _signed(net, rows, y[FITTED : FITTED + 200], epsilon)
    reference = Reference(View(Batch(x[:FITTED]), net), spec, y[:FITTED], gradients=net.differentiable)
    return Case(net, reference, Batch(rows), Batch(attacked))


def _signed(net: Net, x: Array, y: Array, epsilon: float) -> Array:
    """One step along the sign of the gradient (Goodfellow, Shlens, Szegedy 2015)."""
    moved = x + epsilon * np.sign(net.gradient(x, y))
    if net.spec.bounds is not None:
        moved = np.clip(moved, *net.spec.bounds)
    return np.asarray(moved.astype(x.dtype))


def initial(size: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(size, HIDDEN)) * np.sqrt(2.0 / size)
    last = rng.normal(size=(HIDDEN, CLASSES)) * np.sqrt(1.0 / HIDDEN)
    return first.astype(np.float32), np.zeros(HIDDEN, np.float32), last.astype(np.float32)


def _trained(net: Net, x: Array, y: Array) -> Net:
    """Full-batch gradient descent with momentum, on inputs brought to unit size."""
    flat = net._flat(x)
    size = float(np.abs(flat).max())
    weights = [net.first * 1.0, net.bias * 1.0, net.last * 1.0]
    speed = [np.zeros_like(w) for w in weights]
    for _ in range(150):
        hidden = np.maximum(flat / size @ weights[0] + weights[1], 0.0)
        error = (_softmax(hidden @ weights[2]) - np.eye(CLASSES)[y]) / len(y)
        back = error @ weights[2].T * (hidden > 0)
        for i, slope in enumerate((flat.T @ back / size, back.sum(axis=0), hidden.T @ error)):
            speed[i] = 0.9 * speed[i] - 0.5 * slope.astype(np.float32)
            weights[i] = weights[i] + speed[i]
    return replace(net, first=weights[0] / size, bias=weights[1], last=weights[2])


def _softmax(logits: Array) -> Array:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
