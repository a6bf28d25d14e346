"""What makes a row of a table odd: a value, a pair of values, or what the other columns foretell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from detectors.statistics.known import Known
from detectors.statistics.pairs import Pairs
from detectors.statistics.tables import TableStatistics
from models.batch import Array, InputSpec

RNG = np.random.default_rng(0)
N = 2000
GROUP = RNG.integers(0, 5, N).astype(np.float64)
SIZE = RNG.normal(size=N)
X = np.stack(
    [GROUP, 10.0 * GROUP, SIZE, SIZE + 0.1 * RNG.normal(size=N), RNG.choice([0.0, 250.0, 1500.0], N)], axis=1
).astype(np.float32)
SPEC = InputSpec("table", np.dtype("float32"), (5,), columns=("group", "code", "length", "weight", "fee"))
TABLE = TableStatistics.learn(X, SPEC)


def odd(**values: float) -> Array:
    """A middling row with some values changed."""
    row = {"group": 2.0, "code": 20.0, "length": 0.0, "weight": 0.0, "fee": 250.0} | values
    return np.array([list(row.values())], dtype=np.float32)


@pytest.mark.parametrize(
    ("row", "look", "says"),
    [
        (odd(fee=2500.0), "values", "column 'fee' = 2500 is far out or new"),
        (odd(weight=30.0), "values", "column 'weight' = 30 is far out or new"),
        (odd(fee=700.0), "values", "column 'fee' = 700 is far out or new"),
        (odd(code=40.0), "pairs", "column 'group' = 2 and column 'code' = 40 rarely go together"),
        (odd(length=1.2, weight=-1.0), "residuals", "column 'length' = 1.2 is not what the other columns foretell"),
    ],
)
def test_the_look_that_is_made_for_it_sees_it(row: Array, look: str, says: str) -> None:
    honest, found = TABLE.distances(X), TABLE.distances(row)[0]
    at = TABLE.looks.index(look)
    assert found[at] > np.quantile(honest[:, at], 0.999)
    assert TABLE.explain(row, look) == says


def test_an_honest_row_is_nothing_odd() -> None:
    assert (TABLE.distances(odd()) < np.quantile(TABLE.distances(X), 0.9, axis=0)).all()


def test_a_row_alone_is_as_among_others() -> None:
    together = TABLE.distances(X[:300])
    assert np.allclose([TABLE.distances(row[None])[0] for row in X[:20]], together[:20], rtol=1e-5)
    assert TABLE.distances(X[:0]).shape == (0, 3)


def test_residuals_are_those_of_a_regression() -> None:
    z = np.stack([norm.ppf((np.argsort(np.argsort(c)) + 0.5) / N) for c in X[:, 2:4].T], axis=1)
    slope = (z[:, 0] * z[:, 1]).sum() / (z[:, 1] ** 2).sum()
    left = z[:, 0] - slope * z[:, 1]
    found = (TABLE.ranks.scores(X) - TABLE.center).dot(TABLE.foretold)[:, 2]
    assert np.corrcoef(found, left)[0, 1] > 0.98
    assert found.std() == pytest.approx(1.0, abs=0.25)


def test_too_many_pairs_leave_out_those_that_do_not_go_together() -> None:
    scores = RNG.normal(size=(400, 70)).astype(np.float32)
    scores[:, 1] = scores[:, 0]
    bins = (scores > 0.0).astype(np.int64)
    pairs = Pairs.fit(bins, np.full(70, 2), scores)
    assert len(pairs.first) == 2000
    assert (0, 1) in set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def test_surprise_is_log_expected_over_seen() -> None:
    bins = np.array([[0, 0]] * 30 + [[1, 1]] * 10)
    pairs = Pairs.fit(bins, np.array([2, 2]), bins.astype(np.float32))
    expected = np.log((30 * 10 / 40 + 0.2) / 0.2)
    assert pairs.each(np.array([[0, 1], [1, 0]])) == pytest.approx(np.array([[expected], [expected]]))
    assert pairs(np.array([[0, 1]]))[0] == pytest.approx(1.25 * expected)


def test_one_column_has_no_pairs() -> None:
    pairs = Pairs.fit(np.zeros((9, 1), dtype=np.int64), np.array([2]), np.zeros((9, 1), dtype=np.float32))
    assert pairs(np.zeros((3, 1), dtype=np.int64)).tolist() == [0.0, 0.0, 0.0]


def test_new_values_are_as_odd_as_new_values_are_rare() -> None:
    x = np.stack([np.repeat(np.arange(50.0), 20), RNG.normal(size=1000)], axis=1)
    x[0, 0] = 99.0  # seen once
    known = Known.fit(x)
    assert known.columns.tolist() == [0]  # new values are nothing odd in the other
    rows = np.array([[7.0, 0.0], [7.001, 0.0], [7.5, 0.0], [np.nan, 0.0]])
    assert known(rows)[:, 0] == pytest.approx([0.0, 0.0, -np.log(2 / 1001), 0.0])


def test_a_table_without_repeated_values_knows_none() -> None:
    known = Known.fit(RNG.normal(size=(100, 3)))
    assert known(np.zeros((2, 3))).shape == (2, 0)
