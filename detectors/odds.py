"""How far the odds of the other classes move when a row is changed a little, beyond what is usual of honest rows.

Roth, Kilcher, Hofmann: The Odds are Odd: A Statistical Test for Detecting Adversarial Examples (ICML 2019). They change
rows by noise; simplifying them tells attacks better, in one pass. What is usual depends on the two classes, as they
have it, and on how far apart these were: next to a boundary other things are usual than where the model is sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

MOST_SCORE = np.float32(1e6)
_MOST_CLASSES = 64  # with more, pairs of classes are too many to tell apart: all have the curve of all
_FEW = 50  # rows of a class, below which it has the curve of all too
_LEAST_SPREAD = 1e-3  # of the gaps' own spread, of all pairs: below it shifts are rounding errors


@dataclass(frozen=True, slots=True)
class Odds:
    """Of a class z (second axis) beside the predicted class c (first): with `gap` its logit minus that of c, its shift
    is usually `curve` [0] + [1] gap + [2] gap^2, give or take 1 / `per_spread`. A gap beyond the `ends` of honest ones
    counts as that end: nobody knows what is usual there.

    `curve` (3, C, C), `ends` (2, C, C), `per_spread` (C, C), float32; C is 1 where all pairs share one.
    """

    curve: Array
    ends: Array
    per_spread: Array

    @staticmethod
    def fit(plain: Array, moved: Array) -> Odds:
        """Of the logits (n, classes) of honest rows, before and after they were changed."""
        classes, count = plain.argmax(axis=1), plain.shape[1]
        gap, shift = _gap_and_shift(plain.astype(np.float64), moved.astype(np.float64), classes)
        other = np.arange(count) != classes[:, None]
        least = max(_LEAST_SPREAD * float(gap[other].std()), 1e-6)
        shared = _curve(gap[other], shift[other], least)
        side = count if count <= _MOST_CLASSES else 1
        table = np.broadcast_to(shared[:, None, None], (len(shared), side, side)).copy()
        for own in range(count if side > 1 else 0):
            rows = classes == own
            if np.count_nonzero(rows) >= _FEW:
                for z in range(count):
                    if z != own:
                        table[:, own, z] = _curve(gap[rows, z], shift[rows, z], least)
        table = table.astype(np.float32)
        return Odds(table[:3], table[3:5], table[5])

    def score(self, plain: Array, moved: Array) -> Array:
        """(n,) float32 in spreads: the largest unusual shift over all other classes; the most where it is no number."""
        classes = plain.argmax(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):  # infinite logits
            gap, shift = _gap_and_shift(plain, moved, classes)
            own = classes if len(self.per_spread) > 1 else np.zeros_like(classes)
            gap = np.clip(gap, self.ends[0, own], self.ends[1, own])
            usual = self.curve[0, own] + gap * (self.curve[1, own] + gap * self.curve[2, own])
            found = (shift - usual) * self.per_spread[own]
        np.nan_to_num(found, copy=False, nan=float(MOST_SCORE))
        found[np.arange(len(found)), classes] = -MOST_SCORE
        return np.asarray(np.clip(found.max(axis=1), -MOST_SCORE, MOST_SCORE), dtype=np.float32)

    def to_arrays(self, prefix: str) -> dict[str, Array]:
        """What a bundle keeps."""
        return {f"{prefix}curve": self.curve, f"{prefix}ends": self.ends, f"{prefix}per_spread": self.per_spread}

    @staticmethod
    def from_arrays(arrays: Arrays, prefix: str) -> Odds:
        """The one that `to_arrays` wrote."""
        return Odds(arrays[f"{prefix}curve"], arrays[f"{prefix}ends"], arrays[f"{prefix}per_spread"])


def _gap_and_shift(plain: Array, moved: Array, classes: Array) -> tuple[Array, Array]:
    rows = np.arange(len(plain))
    gap = plain - plain[rows, classes][:, None]
    return gap, moved - moved[rows, classes][:, None] - gap


def _curve(gap: Array, shift: Array, least: float) -> Array:
    """(6,): the curve, the ends and the inverse spread."""
    powers = np.stack([np.ones_like(gap), gap, gap**2], axis=1)
    curve = np.linalg.lstsq(powers, shift, rcond=None)[0]
    spread = max(float((shift - powers @ curve).std()), least)
    return np.array([*curve, gap.min(), gap.max(), 1.0 / spread])
