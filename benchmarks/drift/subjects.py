"""Models, rows they never saw, and the same rows drifted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from benchmarks import adult_model, mnist_model
from benchmarks.adult import COLUMNS, NUMERIC, adult
from benchmarks.data import CACHE, Images, cifar_gray, digits_upscaled, mnist
from detectors.drift.encoder import Rows
from detectors.drift.projection import Projection
from models.batch import Array

MNIST_TRAIN, ADULT_TRAIN = 20_000, 6_000  # fewer than elsewhere: what the model never saw has to last
DRIFTED_ROWS = 5_000
DOUBLED = (3, 7)  # classes, in the class-mix shift
SHIFT = 0.1  # standard deviations


@dataclass(frozen=True)
class Subject:
    """`unseen` rows without drift; each of `drifts` holds drifted rows, to be drawn from."""

    name: str
    unseen: Rows
    drifts: dict[str, Rows] = field(default_factory=dict)
    projection: Projection | None = None
    columns: tuple[str, ...] = ()


def mnist_subject() -> Subject:
    """Penultimate features and logits of a CNN on MNIST; the last rows are those that drift."""
    train, test = mnist()
    network = mnist_model.trained(train.part(0, MNIST_TRAIN), CACHE / "drift" / "mnist").network
    assert isinstance(network, nn.Sequential)
    x, y = np.concatenate([train.x[MNIST_TRAIN:], test.x]), np.concatenate([train.y[MNIST_TRAIN:], test.y])
    unseen = _answers(network, x)
    late = x[-DRIFTED_ROWS:]
    drifts = {
        "blur, sigma 1": _answers(network, gaussian_filter(late, (0, 0, 1, 1))),
        "brightness +0.2": _answers(network, np.clip(late + np.float32(0.2), 0.0, 1.0)),
        "30 % blurred": _some_blurred(network, late),
        "CIFAR-10 in gray": _answers(network, cifar_gray(DRIFTED_ROWS)),
        "other digits": _answers(network, digits_upscaled()),
        "two classes doubled": unseen.take(_doubled(y)),
    }
    projection = Projection.fit(_features(network, train.x[:5000]))
    return Subject("MNIST features", unseen, drifts, projection)


def _some_blurred(network: nn.Sequential, x: Images) -> Rows:
    mixed = x.copy()
    share = len(x) * 3 // 10
    mixed[:share] = gaussian_filter(x[:share], (0, 0, 1, 1))
    return _answers(network, mixed)


def _doubled(y: Array) -> Array:
    weight = np.where(np.isin(y, DOUBLED), 2.0, 1.0)
    return np.random.default_rng(0).choice(len(y), size=20_000, p=weight / weight.sum())


def _answers(network: nn.Sequential, x: Images) -> Rows:
    features = _features(network, x)
    with torch.no_grad():
        return Rows(features, np.asarray(network[-1](torch.from_numpy(features)).numpy()))


def _features(network: nn.Sequential, x: Images) -> Array:
    with torch.no_grad():
        parts = [network[:-1](torch.from_numpy(x[start : start + 500])) for start in range(0, len(x), 500)]
    return np.asarray(torch.cat(parts).numpy())


def adult_subject() -> Subject:
    """The columns of adult and a network's logits; each drift is one amount shifted by 0.1 of its deviations."""
    train, test = adult()
    network = adult_model.trained(train.part(0, ADULT_TRAIN), CACHE / "drift" / "adult").network
    x = np.concatenate([train.x[ADULT_TRAIN:], test.x])
    late, deviations = x[-DRIFTED_ROWS:], x.std(axis=0)
    drifts = {
        f"{COLUMNS[column]} +{SHIFT} sd": _judged(network, _raised(late, column, SHIFT * float(deviations[column])))
        for column in range(NUMERIC)
    }
    return Subject("adult", _judged(network, x), drifts, columns=COLUMNS)


def _raised(x: Array, column: int, by: float) -> Array:
    """More by so much on average, and whole numbers still: a fraction is not what gives the drift away."""
    raised = x.copy()
    raised[:, column] += np.floor(by + np.random.default_rng(column).random(len(x))).astype(np.float32)
    return raised


def _judged(network: nn.Module, x: Array) -> Rows:
    with torch.no_grad():
        return Rows(x, np.asarray(network(torch.from_numpy(x)).numpy()))
