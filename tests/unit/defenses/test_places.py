"""Folding and scales in torch are those in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defenses.columns import Columns
from defenses.folding import Folding
from defenses.training.places import Places
from defenses.values import Values
from models.batch import Bounds, InputSpec, Layout


@pytest.mark.parametrize(
    ("kind", "shape", "layout"),
    [("image", (3, 5, 7), "NCHW"), ("image", (6, 6, 1), "NHWC"), ("series", (2, 9), None), ("table", (4,), None)],
)
def test_enters_and_leaves_as_rows_do(kind: str, shape: tuple[int, ...], layout: Layout | None) -> None:
    spec = InputSpec(kind, np.dtype("float32"), shape, Bounds(-2.0, 6.0), layout)  # type: ignore[arg-type]
    x = np.random.default_rng(0).uniform(-2.0, 6.0, (5, *shape)).astype(np.float32)
    folding = Folding.of(spec)
    scale = Columns.of(spec, Columns.learn(x)) if kind == "table" else Values.scaled(spec, {}, "test")
    places = Places.of(folding, scale, shape)
    entered = places.enter(torch.tensor(x))
    assert np.allclose(entered.numpy(), folding.fold(scale.enter(x)), atol=1e-6)
    assert np.allclose(places.leave(entered).numpy(), x, atol=1e-5)
    assert np.allclose(
        scale.moved(x, folding.unfold(0.01 * entered.numpy(), x.shape)),
        np.clip(x + places.by(0.01 * entered).numpy(), -2.0, 6.0),
        atol=1e-5,
    )
