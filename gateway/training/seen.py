"""Whether the holdout looks like rows the model was trained on. Thresholds set on such rows flag honest callers.

Two signs, each with what it can't see:

- Copies: holdout rows that are (nearly) in the reference too, and more of them than the reference has twins among its
  own rows, which is how many honest duplicates the data has. Blind to training rows that are not in the reference.
- Memory: a model that has learned the reference by heart (nearly no error, nearly no doubt) and is not one bit less
  sure of the holdout (Yeom et al. 2018: membership shows in the loss). Blind to a model that does not overfit, where
  seen and unseen rows score alike anyway, and to a share of seen rows too small to move the ranks; an easy problem,
  which a model also solves on new rows without doubt, looks the same and is warned of too.
"""

from __future__ import annotations

import numpy as np
from scipy import spatial, special

from gateway.training.passes import chunks
from models.backend import Outputs
from models.batch import Array

_DIRECTIONS = 8
_NEAR = 1e-3  # of the spread along each direction: what rounding, resaving and the like may move a row
_MOST_ROWS = 5000  # looked up on either side
_RARE = 1e-3  # of honest data sets may be warned of by mistake
_MIN_COPIES = 3
_BY_HEART, _NO_DOUBT, _MIN_ROWS = 0.995, 0.99, 100


def copies(reference: Array, holdout: Array, seed: int) -> list[str]:
    """A sentence if too many holdout rows (n, ...) are reference rows (m, ...), else nothing."""
    rng = np.random.default_rng(seed)
    low, high = _projected(reference, holdout, rng)
    tree = spatial.KDTree(low)
    asked = rng.permutation(len(high))[:_MOST_ROWS]
    twins = rng.permutation(len(low))[:_MOST_ROWS]
    copied = _near(tree, high[asked], neighbor=1)
    native = _near(tree, low[twins], neighbor=2)  # the first is the row itself
    if copied < _MIN_COPIES or not _more(copied, len(asked), native, len(twins)):
        return []
    usual = native / len(twins) * len(asked)
    return [f"{copied} of {len(asked)} holdout rows are also in the reference, where {usual:.0f} would be usual"]


def _near(tree: spatial.KDTree, rows: Array, neighbor: int) -> int:
    distances = np.asarray(tree.query(rows, k=[neighbor], p=np.inf, distance_upper_bound=_NEAR)[0])
    return int(np.count_nonzero(distances < _NEAR))


def _projected(reference: Array, holdout: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Both along a few random directions, in units of the reference's spread along each."""
    sample = _flat(reference[np.sort(rng.permutation(len(reference))[:_MOST_ROWS])])
    center, spread = sample.mean(axis=0), sample.std(axis=0)
    spread[~(spread > 0.0)] = 1.0
    directions = rng.normal(size=(sample.shape[1], _DIRECTIONS)) / spread[:, None]
    low, high = (
        np.concatenate([(_flat(part[rows]) - center) @ directions for rows in chunks(len(part), _MOST_ROWS)])
        for part in (reference, holdout)
    )
    scale = np.subtract(*np.percentile(low, [75.0, 25.0], axis=0))
    scale = np.where(scale > 0.0, scale, 1.0)
    return low / scale, high / scale


def _flat(x: Array) -> Array:
    """(n, values) float64; a missing value is like any other."""
    return np.nan_to_num(x.reshape(len(x), -1).astype(np.float64), nan=-1.0)


def _more(hits: int, rows: int, others: int, other_rows: int) -> bool:
    """Whether the first rate is larger than the second, by Fisher's exact test at `_RARE`."""
    total, drawn = rows + other_rows, hits + others
    more = np.arange(hits, min(drawn, rows) + 1)
    ways: Array = _log_choose(rows, more) + _log_choose(other_rows, drawn - more) - _log_choose(total, np.array(drawn))
    return float(np.exp(ways).sum()) < _RARE and hits / rows > others / other_rows


def _log_choose(n: int, k: Array) -> Array:
    return np.asarray(special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0))


def _losses(outputs: Outputs, y: Array | None) -> Array | None:
    """(n,) cross-entropy of the known labels."""
    if y is None or outputs.logits is None or y.min() < 0 or y.max() >= outputs.logits.shape[1]:
        return None
    logits = outputs.logits.astype(np.float64)
    loss: Array = special.logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return loss


def memory(reference: Outputs, y: Array | None, holdout: Outputs, holdout_y: Array | None) -> list[str]:
    """A sentence if the model knows the holdout as well as a reference that it knows by heart, else nothing."""
    ours, theirs = _losses(reference, y), _losses(holdout, holdout_y)
    if ours is None or theirs is None or min(len(ours), len(theirs)) < _MIN_ROWS:
        return []
    right, sure = float((ours < np.log(2.0)).mean()), float(np.exp(-ours.mean()))
    if right < _BY_HEART or sure < _NO_DOUBT:
        return []
    both = np.concatenate([theirs, ours])
    ranks = np.searchsorted(np.sort(both), both, side="left") + np.searchsorted(np.sort(both), both, side="right")
    n, m = len(theirs), len(ours)
    above = (ranks[:n].sum() / 2.0 + n / 2.0 - n * (n + 1) / 2.0) / (n * m)  # P(holdout loss > reference loss)
    z = (above - 0.5) / np.sqrt((n + m + 1.0) / (12.0 * n * m))
    worse = theirs.mean() > 1.5 * ours.mean() + 1e-4  # a few clear errors, which ranks hardly show
    if z > 1.645 or (theirs >= np.log(2.0)).mean() > 1.0 - _BY_HEART or worse:
        return []
    losses = f"(loss {theirs.mean():.2g} and {ours.mean():.2g})"
    return [f"the model is as sure of the holdout as of the reference {losses}, which it knows by heart"]
