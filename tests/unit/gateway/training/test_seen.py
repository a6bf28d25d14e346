"""Planted training rows are noticed; honest holdouts, twins by nature included, are not."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.training.seen import copies, memory
from models.backend import Outputs
from models.batch import Array
from tests import tiny


def digits() -> tuple[Array, Array]:
    case = tiny.image()
    return case.reference.view.x, case.rows.x


def coarse(n: int, seed: int) -> Array:
    """Rows of few distinct values: many are twins by nature."""
    return np.random.default_rng(seed).integers(0, 4, size=(n, 4)).astype(np.float32)


def test_fresh_rows_are_not_warned_of() -> None:
    assert copies(*digits(), seed=0) == []


@pytest.mark.parametrize("noise", [0.0, 1e-6])
@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
def test_planted_rows_are_found_even_if_rounded(share: float, noise: float) -> None:
    reference, holdout = digits()
    planted = holdout.copy()
    count = round(share * len(planted))
    planted[:count] = reference[:count] + noise
    [sign] = copies(reference, planted, seed=0)
    assert sign.startswith(f"{count} of {len(planted)} holdout rows are also in the reference")


def test_twins_by_nature_are_no_sign() -> None:
    assert copies(coarse(3000, 0), coarse(1000, 1), seed=0) == []


def test_planted_rows_are_found_among_twins() -> None:
    reference, holdout = (np.random.default_rng(s).integers(0, 12, size=(3000, 4)).astype(np.float32) for s in (0, 1))
    assert copies(reference, holdout, seed=0) == []
    holdout[:300] = reference[:300]
    assert copies(reference, holdout, seed=0) != []


def test_missing_values_and_constant_columns_are_no_trouble() -> None:
    reference, holdout = (np.random.default_rng(s).normal(size=(500, 3)).astype(np.float32) for s in (0, 1))
    for part in (reference, holdout):
        part[:, 2] = 1.0
        part[::3, 1] = np.nan
    assert copies(reference, holdout, seed=0) == []


def outputs(right: Array, y: Array) -> Outputs:
    """Logits of a model that gives the true class this much more than others."""
    logits = np.zeros((len(y), 3), np.float32)
    logits[np.arange(len(y)), y] = right
    return Outputs({}, logits)


def by_heart(n: int, seed: int) -> tuple[Outputs, Array]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return outputs(rng.normal(9.0, 1.0, n), y), y


def learned(n: int, seed: int) -> tuple[Outputs, Array]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return outputs(rng.normal(6.0, 3.0, n), y), y


def test_a_model_that_knows_the_holdout_by_heart_too() -> None:
    [sign] = memory(*by_heart(1000, 0), *by_heart(500, 1))
    assert "knows by heart" in sign


def test_a_model_that_is_less_sure_of_the_holdout() -> None:
    assert memory(*by_heart(1000, 0), *learned(500, 1)) == []


def test_a_model_that_knows_nothing_by_heart() -> None:
    assert memory(*learned(1000, 0), *learned(500, 1)) == []


def test_without_labels_or_with_few_rows_there_is_no_telling() -> None:
    (ours, y), (theirs, other) = by_heart(1000, 0), by_heart(500, 1)
    assert memory(ours, None, theirs, other) == []
    assert memory(ours, y, Outputs({}), other) == []
    few = np.arange(50)
    assert memory(ours, y, theirs.take(few), other[few]) == []
