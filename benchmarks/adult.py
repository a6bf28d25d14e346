"""UCI Adult (census income) as a table of 14 whole numbers a row, in a seeded order."""

from __future__ import annotations

import numpy as np

from benchmarks.data import Labeled, shared

COLUMNS = (
    "age", "weight", "education_years", "capital_gain", "capital_loss", "hours",
    "workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "country",
)  # fmt: skip
NUMERIC = 6  # the first columns are amounts, the others codes
TRAIN_ROWS = 16_000


def adult() -> tuple[Labeled, Labeled]:
    """16,000 rows to train on and 16,561 that no model here sees; x (n, 14) float32, y 1 for more than 50,000 a year.

    Raises:
        DataMissing: the shared file is absent.
    """
    with np.load(shared("adult.npz"), allow_pickle=False) as file:
        x = np.concatenate([file["num"], file["cat"]], axis=1).astype(np.float32)
        rows = Labeled(x, file["y"].astype(np.int64))
    order = np.random.default_rng(0).permutation(len(rows))
    rows = Labeled(rows.x[order], rows.y[order])
    return rows.part(0, TRAIN_ROWS), rows.part(TRAIN_ROWS, len(rows))
