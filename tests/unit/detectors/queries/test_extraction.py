"""Cells of equal share, and rows near the boundary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.queries.cells import Cells
from detectors.queries.extraction import NEAR, Extraction, territory
from models.backend import Outputs
from models.batch import Array

RNG = np.random.default_rng(0)
REFERENCE = (RNG.normal(size=(4000, 6)) * [1, 10, 3, 0.1, 2, 0]).astype(np.float32)  # one column is constant
CELLS = Cells.fit(REFERENCE)


def answers(n: int, classes: int = 4) -> Outputs:
    logits = RNG.normal(size=(n, classes))
    return Outputs({"logits": logits}, logits, None)


def test_every_cell_holds_as_much_of_the_reference() -> None:
    assert len(CELLS) == 256
    counts = np.bincount(CELLS(REFERENCE), minlength=256)
    assert counts.min() >= 10
    assert counts.max() <= 25


def test_few_rows_have_fewer_cells_and_too_few_have_none() -> None:
    assert len(Cells.fit(REFERENCE[:100])) == 8
    with pytest.raises(ValueError, match="expected at least 64 rows, found 50"):
        Cells.fit(REFERENCE[:50])


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_a_row_falls_into_its_cell_whatever_comes_with_it(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    rows[0] = [np.nan, np.inf, -np.inf, 0, 1e30, 0]
    found = CELLS(rows)
    assert found.min() >= 0
    assert found.max() < len(CELLS)
    assert (found == np.concatenate([CELLS(row[None]) for row in rows])).mean() > 0.99  # but for rounding at an edge


def test_as_many_rows_are_near_as_of_held_out_ones() -> None:
    known = Extraction.fit(REFERENCE, answers(5000))
    logits = answers(20_000).logits
    assert logits is not None
    assert known.near(logits).mean() == pytest.approx(NEAR, abs=0.01)
    assert known.near(np.array([[1.0, 1.0, 0.0, 0.0], [9.0, 1.0, 0.0, 0.0]])).tolist() == [True, False]


@pytest.mark.parametrize("logits", [None, np.zeros((10, 1))])
def test_without_classes_nothing_is_near(logits: Array | None) -> None:
    known = Extraction.fit(REFERENCE, Outputs({}, logits, None))
    assert not known.near(np.zeros((3, 2))).any()


def test_a_bundle_gives_it_back() -> None:
    known = Extraction.fit(REFERENCE, answers(1000))
    again = Extraction.from_arrays(known.to_arrays())
    assert again.margin == known.margin
    assert (again.cells(REFERENCE) == known.cells(REFERENCE)).all()


def test_features_are_what_cells_are_made_of() -> None:
    features = np.ones((2, 3))
    assert territory(REFERENCE[:2], Outputs({}, None, features)) is features
    assert territory(REFERENCE[:2], Outputs({}, None, None)).shape == (2, 6)
