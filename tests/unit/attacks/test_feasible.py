from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.feasible import UNIT, Feasible
from attacks.pgd import pgd
from detectors.base import Reference, View
from detectors.contract import ContractSpec
from models.batch import Array, Batch, Bounds, InputSpec
from tests import tiny

COLUMNS = ("age", "income", "ratio", "sex", "code")


def people(n: int = 600) -> Array:
    rng = np.random.default_rng(0)
    codes = rng.choice([0.13, 0.37, 0.92], n)
    columns = [rng.integers(18, 90, n), rng.integers(0, 99, n) * 1000, rng.random(n), rng.integers(0, 2, n), codes]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float64)


def table(dtype: str = "float64", missing: bool = False) -> tuple[Feasible, Array]:
    x = people().astype(dtype)
    spec = InputSpec("table", np.dtype(dtype), (5,), None, None, missing, COLUMNS)
    view = View(Batch(x), tiny.table().net)
    rules = ContractSpec().fit(Reference(view, spec))
    return Feasible.learn(x, spec, rules, immutable=("sex",)), x


def linear(rows: Tensor) -> Tensor:
    scaled = rows / torch.tensor([80.0, 1e5, 1.0, 1.0, 1.0])
    return torch.stack([scaled.sum(dim=1) - 2.0, 2.0 - scaled.sum(dim=1)], dim=1)


def test_rows_come_back_as_they_went_in() -> None:
    feasible, x = table()
    np.testing.assert_allclose(feasible.from_unit(feasible.to_unit(x), x), x, rtol=1e-6)


def test_attacked_rows_of_a_table_keep_integers_sets_ranges_and_immutable_columns() -> None:
    feasible, x = table()
    clean = x[:100]
    model = feasible.through(linear, clean)
    y = torch.zeros(100, dtype=torch.int64)
    found = feasible.from_unit(
        pgd(model, feasible.to_unit(clean), y, epsilon=0.3, steps=10, bounds=UNIT, seed=0), clean
    )
    assert (found[:, 0] == np.rint(found[:, 0])).all()
    assert (found[:, 1] % 1000 == 0).all()
    assert set(np.unique(found[:, 4])) <= {0.13, 0.37, 0.92}
    assert np.array_equal(found[:, 3], clean[:, 3])
    assert (found >= x.min(axis=0)).all()
    assert (found <= x.max(axis=0)).all()
    assert (linear(torch.tensor(found))[:, 0] < linear(torch.tensor(clean))[:, 0]).double().mean() > 0.9


def test_what_the_model_sees_on_the_way_is_what_will_be_sent() -> None:
    feasible, x = table()
    rows = torch.rand(50, 5, generator=torch.Generator().manual_seed(0))
    seen = feasible.through(lambda values: values, x[:50])(rows)
    np.testing.assert_allclose(seen.numpy(), feasible.from_unit(rows, x[:50]), rtol=1e-6)


def test_gradients_pass_the_rounding_but_not_what_is_fixed() -> None:
    feasible, x = table()
    rows = feasible.to_unit(x[:4]).requires_grad_(True)
    (slope,) = torch.autograd.grad(feasible.through(linear, x[:4])(rows)[:, 0].sum(), rows)
    assert bool((slope[:, 3] == 0.0).all())
    assert bool((slope[:, [0, 1, 2, 4]] > 0.0).all())


def test_missing_values_stay_missing() -> None:
    feasible, x = table(missing=True)
    clean = x[:3].copy()
    clean[:, 2] = np.nan
    found = feasible.from_unit(torch.rand(3, 5), clean)
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(np.delete(found, 2, axis=1)).all()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_pixels_stay_pixels(dtype: str) -> None:
    case = tiny.image(dtype=dtype)
    feasible = Feasible.learn(case.reference.view.x, case.spec, ContractSpec().fit(case.reference))
    clean = case.rows.x[:5]
    found = feasible.from_unit(torch.rand(5, *case.spec.shape), clean)
    assert found.dtype == case.spec.dtype
    assert case.spec.bounds is not None
    low, high = case.spec.bounds
    levels = (found.astype(np.float64) - low) / (high - low) / feasible.finest
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert levels.max() > 2


def test_an_unknown_immutable_column_is_refused() -> None:
    _, x = table()
    spec = InputSpec("table", np.dtype("float64"), (5,), Bounds(0.0, 1e6), None, False, COLUMNS)
    rules = ContractSpec().fit(Reference(View(Batch(x), tiny.table().net), spec))
    with pytest.raises(ValueError, match=r"expected columns of the input \(age, income, .*found \['salary'\]"):
        Feasible.learn(x, spec, rules, immutable=("salary",))
