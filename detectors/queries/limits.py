"""When queries are alike: how near the k nearest of a caller's last n lie, which honest callers never reach.

Fitted on honest rows, for the hardest honest caller: one whose rows are all of one kind, drawn from the tenth of the
honest rows nearest to one of them. The lower tail of the log distance is taken as exponential (Balkema, de Haan 1974;
Pickands 1975) and followed to one row in 400,000; over n a power law is fitted, as distances among n rows follow one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from detectors.queries.surroundings import Surroundings, squared_distances
from models.batch import Array, Arrays

COUNTS = (3, 4, 6, 8, 12, 16)
WINDOWS = (8, 16, 64, 256, 1024, 4096)  # rows a caller's newest query is compared with
MOST = 0.8  # two rows far from all honest ones are as far from each other: nothing above this means anything
_FITTED = (8, 16, 32, 64, 128, 256)
_PAIRS = 20_000  # queries a fit draws
_TAIL, _WANTED = 0.005, 2.5e-6
_KIND = 0.1
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """`levels`: by count k, the intercept and slope of the log limit over log n."""

    levels: Mapping[int, tuple[float, float]]
    known: dict[tuple[int, int], float] = field(init=False, repr=False, compare=False, default_factory=dict)

    @staticmethod
    def fit(z: Array, units: Surroundings, seed: int) -> Limits:
        """The limits for callers whose rows are like `z` (n, d), no two of which are the same.

        Raises:
            ValueError: there are too few rows.
        """
        rng = np.random.default_rng(seed)
        most = int(_KIND * len(z)) // 2
        sizes = [n for n in _FITTED if n <= most]
        if len(sizes) < 2:
            raise ValueError(f"expected at least {int(2 * _FITTED[1] / _KIND)} unlike rows, found {len(z)}")
        scale = units(z)
        points: dict[int, list[tuple[float, float]]] = {count: [] for count in COUNTS}
        for n in sizes:
            ratios = _drawn(z, scale, n, rng)
            for count in COUNTS:
                if count <= n:
                    points[count].append((np.log(n), _low(ratios[:, count - 1])))
        levels = {}
        for count, found in points.items():
            if len(found) > 1:
                at, low = np.array(found).T
                slope, level = np.polyfit(at, low, 1)
                slope = min(float(slope), 0.0)
                levels[count] = (min(float(level), float((low - slope * at).min())), slope)
        return Limits(levels)

    def __call__(self, count: int, n: int) -> float:
        """The largest ratio of distance to unit at which `count` of `n` rows are alike; 0 where there is none."""
        found = self.known.get((count, n))
        if found is None:
            found = self.known[count, n] = self._limit(count, n)  # few counts, and no more n than rows are remembered
        return found

    def _limit(self, count: int, n: int) -> float:
        level = self.levels.get(count)
        if level is None or count > n:
            return 0.0
        return min(MOST, float(np.exp(level[0] + level[1] * np.log(n))))

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"limits": np.array([(count, *level) for count, level in self.levels.items()])}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Limits:
        """The one that `to_arrays` wrote."""
        return Limits({int(count): (float(level), float(slope)) for count, level, slope in arrays["limits"]})


def _drawn(z: Array, scale: Array, n: int, rng: np.random.Generator) -> Array:
    """(queries, min(n, 16)) ascending ratios of callers who ask rows of one kind, n of which are remembered."""
    each = max(8, int(_KIND * len(z)) - n)
    found = []
    for _ in range(max(4, _PAIRS // each)):
        near = squared_distances(z[rng.integers(len(z), size=1)], z)[0]
        kind = rng.permutation(np.argpartition(near, n + each)[: n + each])
        memory, asked = kind[:n], kind[n:]
        distances = np.sort(squared_distances(z[asked], z[memory]), axis=1)[:, : COUNTS[-1]]
        found.append(np.sqrt(distances) / scale[asked, None])
    return np.concatenate(found)


def _low(ratios: Array) -> float:
    """The log of the ratio that one honest row in 400,000 goes below."""
    logs = np.log(np.maximum(ratios, _SMALLEST))
    start = float(np.quantile(logs, _TAIL))
    below = start - logs[logs < start]
    mean = float(below.mean()) if len(below) else 0.0
    return start - mean * float(np.log(_TAIL / _WANTED))
