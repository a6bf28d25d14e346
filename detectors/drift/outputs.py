"""What is tracked of a model's answers: the class, the confidence in it, and the energy."""

from __future__ import annotations

import numpy as np

from models.batch import Array

OUTPUTS = ("class", "confidence", "energy")


def output_series(logits: Array) -> list[Array]:
    """Predicted class, its probability, and the free energy (Liu et al. 2020); (n,) float64 each.

    Rows whose logits are no numbers have none of the three. Rounded: the last bits of an exponential don't count.
    """
    rows = logits.astype(np.float64)
    known = np.isfinite(rows).all(axis=1)
    rows[~known] = 0.0
    top = rows.max(axis=1)
    total = np.zeros(len(rows))
    for column in rows.T:
        total += np.exp(column - top)
    found = [rows.argmax(axis=1).astype(np.float64), _rounded(1.0 / total), _rounded(-(top + np.log(total)))]
    for values in found:
        values[~known] = np.nan
    return found


def _rounded(values: Array) -> Array:
    rounded: Array = np.rint(values * 2.0**20) / 2.0**20
    return rounded
