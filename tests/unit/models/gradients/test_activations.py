from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.batch import Array

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Celu", {"alpha": 0.7}),
    ("Elu", {}),
    ("Elu", {"alpha": 0.5}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.4}),
    ("HardSwish", {}),
    ("LeakyRelu", {}),
    ("LeakyRelu", {"alpha": 0.2}),
    ("Mish", {}),
    ("Relu", {}),
    ("Selu", {}),
    ("Selu", {"alpha": 1.5, "gamma": 1.2}),
    ("Shrink", {"bias": 0.1, "lambd": 0.3}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("ThresholdedRelu", {}),
    ("ThresholdedRelu", {"alpha": 0.3}),
]


@pytest.mark.parametrize(("kind", "attributes"), CASES)
def test_activations(
    check: Callable[..., None], normal: Callable[..., Array], kind: str, attributes: dict[str, Any]
) -> None:
    check(kind, [2 * normal(4, 5)], gradient=True, **attributes)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1,), (1, 4, 4)])
def test_a_learned_slope(check: Callable[..., None], normal: Callable[..., Array], shape: tuple[int, ...]) -> None:
    check("PRelu", [normal(2, 3, 4, 4), normal(*shape)], fixed=(1,), gradient=True)
