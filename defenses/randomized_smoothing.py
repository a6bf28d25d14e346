"""The class that most noisy copies of a row get, and how far from the row it is certain to stay the same.

Cohen, Rosenfeld, Kolter: Certified Adversarial Robustness via Randomized Smoothing (ICML 2019). What is said holds with
probability 1 - alpha over the noise, and says much only of a model that answers noisy rows well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binomtest, norm

from defenses.base import Unsuitable
from defenses.draws import row_rng
from models.backend import ModelBackend
from models.batch import Array, Batch

ABSTAIN = -1
_PASS_ROWS = 256


@dataclass(frozen=True, slots=True)
class Smoothed:
    """`classes` (n,) int64, ABSTAIN where the votes don't tell; `radius` (n,) float64, L2, in the input's units."""

    classes: Array
    radius: Array


def votes(backend: ModelBackend, batch: Batch, sigma: float, samples: int, seed: int = 0) -> Array:
    """How often each class wins among `samples` copies of each row with Gaussian noise of `sigma`, (n, classes) int64.

    A copy whose logits are not all finite votes for none.

    The noise comes from the row's own bytes and the seed: a row gets the same votes alone and among others. Whoever
    knows the seed can foretell it, so keep it to yourself.

    Raises:
        Unsuitable: the input does not hold real numbers, or the model has no class logits.
    """
    if backend.spec.dtype.kind != "f":
        raise Unsuitable(f"randomized smoothing adds noise to real numbers; this input holds {backend.spec.dtype}")
    counts = [_votes(backend, batch.take(slice(row, row + 1)), sigma, samples, seed) for row in range(len(batch))]
    if not counts:
        raise ValueError("expected at least one row")
    return np.stack(counts)


def _votes(backend: ModelBackend, row: Batch, sigma: float, samples: int, seed: int) -> Array:
    rng = row_rng(row.x, seed)
    counts: Array | None = None
    for start in range(0, samples, _PASS_ROWS):
        copies = row.take(np.zeros(min(_PASS_ROWS, samples - start), dtype=np.intp))
        noisy = copies.x + sigma * rng.standard_normal(copies.x.shape)
        logits = backend.predict(copies.with_x(noisy.astype(row.x.dtype))).logits
        if logits is None:
            raise Unsuitable("randomized smoothing needs a model with class logits")
        known = np.isfinite(logits).all(axis=1)
        found = np.bincount(logits[known].argmax(axis=1), minlength=logits.shape[1])
        counts = found if counts is None else counts + found
    if counts is None:
        raise ValueError("expected at least one sample")
    return np.asarray(counts, dtype=np.int64)


def decide(counts: Array, alpha: float = 0.001) -> Array:
    """The class with the most votes, (n,) int64; ABSTAIN where the second could as well have the most.

    The answer is the smoothed model's own with probability 1 - alpha or more (Hung, Fithian 2019).
    """
    order = np.argsort(-counts, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(counts, order, axis=1).T
    p = [binomtest(int(a), int(a + b), 0.5).pvalue if a else 1.0 for a, b in zip(first, second, strict=True)]
    return np.where(np.array(p) <= alpha, order[:, 0], ABSTAIN)


def certify(selection: Array, counts: Array, sigma: float, alpha: float = 0.001) -> Smoothed:
    """The class that `selection` votes name, and the radius that other votes, `counts`, prove; (n, classes) both.

    The two must come from different noise: two calls of `votes` with different seeds.
    """
    chosen = selection.argmax(axis=1)
    rows = np.arange(len(counts))
    low = at_least(counts[rows, chosen], counts.sum(axis=1), alpha)
    sure = low > 0.5
    radius = np.where(sure, sigma * norm.ppf(np.where(sure, low, 0.5)), 0.0)
    return Smoothed(np.where(sure, chosen, ABSTAIN), radius)


def at_least(hits: Array, trials: Array, alpha: float) -> Array:
    """The lower end, with confidence 1 - alpha, of a share that hit so often (Clopper, Pearson 1934)."""
    some = hits > 0
    return np.where(some, beta.ppf(alpha, np.where(some, hits, 1), trials - hits + 1), 0.0)
