"""Attacks that ask for logits alone fool the model within their ball, on the grid, and without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from attacks.scored import Grid, attacked
from attacks.scored.coordinates import coordinates
from attacks.scored.search import margin, nearer
from attacks.scored.square import square
from detectors.contract import ContractSpec
from models.batch import Array, Batch
from tests import tiny

SILENT = lambda what, done, of: None  # noqa: E731
ROWS = 40


def rows_of(case: tiny.Case) -> tuple[Grid, Batch, Array]:
    """Rows that the model gets right, by its own word."""
    grid = Grid.learn(case.reference.view.x, case.spec, ContractSpec().fit(case.reference))
    batch = case.rows.take(np.arange(ROWS))
    logits = case.net.predict(batch).logits
    assert logits is not None
    return grid, batch, logits.argmax(axis=1)


@pytest.mark.parametrize("make", [tiny.image, tiny.series, tiny.table], ids=lambda make: make.__name__)
def test_many_rows_are_won_and_can_be_sent(make: object) -> None:
    assert callable(make)
    case = make()
    grid, batch, y = rows_of(case)
    made = list(attacked(case.net, grid, batch, y, seed=0, quick=True, tell=SILENT))
    sizes = []
    for attack in made:
        assert attack.x.dtype == batch.x.dtype
        np.testing.assert_array_equal(grid.from_unit(grid.to_unit(attack.x), attack.x), attack.x)
        wrong = case.net.predict(Batch(attack.x)).logits.argmax(axis=1) != y[attack.of]
        assert wrong.mean() > 0.3
        change = np.abs(grid.to_unit(attack.x) - grid.to_unit(batch.x[attack.of]))
        sizes.append(float(change.reshape(len(change), -1).sum(axis=1)[wrong].mean()))
    assert [attack.name for attack in made] == [made[0].name, f"{made[0].name}_near"]
    assert sizes[1] < sizes[0]
    again = next(iter(attacked(case.net, grid, batch, y, seed=0, quick=True, tell=SILENT)))
    np.testing.assert_array_equal(again.x, made[0].x)


def test_square_beats_noise_of_the_same_size() -> None:
    case = tiny.image()
    grid, batch, y = rows_of(case)
    clean = grid.to_unit(batch.x)

    def ask(rows: Array, which: Array) -> Array:
        logits = case.net.predict(Batch(grid.from_unit(rows, batch.x[which]))).logits
        assert logits is not None
        return logits

    reach = np.full(ROWS, 0.25)
    found = square(ask, clean, y, epsilon=reach, axes=(2, 3), queries=100, seed=0)
    assert np.abs(found - clean).max() <= 0.25 + 1e-9
    noise = np.clip(clean + 0.25 * np.random.default_rng(0).choice([-1.0, 1.0], clean.shape), 0.0, 1.0)
    everyone = np.arange(ROWS)
    fooled = margin(ask(found, everyone), y) > 0.0
    assert fooled.mean() > (margin(ask(noise, everyone), y) > 0.0).mean() + 0.3
    close = nearer(ask, clean[fooled], found[fooled], y[fooled], 8)
    assert (margin(ask(close, everyone[fooled]), y[fooled]) > 0.0).all()
    assert np.abs(close - clean[fooled]).mean() < np.abs(found - clean)[fooled].mean()


def test_fixed_columns_stay() -> None:
    case = tiny.table()
    grid, batch, y = rows_of(case)
    clean = grid.to_unit(batch.x)
    free = np.arange(10, 20)

    def ask(rows: Array, which: Array) -> Array:
        logits = case.net.predict(Batch(grid.from_unit(rows, batch.x[which]))).logits
        assert logits is not None
        return logits

    found = coordinates(ask, clean, y, epsilon=np.full(ROWS, 0.5), free=free, queries=60, seed=0)
    moved = (found != clean).reshape(ROWS, -1)
    assert moved[:, free].any()
    moved[:, free] = False
    assert not moved.any()


def test_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import attacks.scored"
    subprocess.run([sys.executable, "-c", code], check=True)
