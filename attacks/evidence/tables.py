"""Twin of the statistics of tables. Which values go together has no slope: attacks only see whether they do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import constant
from attacks.network import root
from detectors.rules import cast
from detectors.statistics.ranks import Ranks
from detectors.statistics.tables import TableStatistics
from models.batch import Array

_FAR, _FREEDOM = 12.0, 3.0  # as `detectors.statistics.ranks` and `detectors.statistics.tables` have them


def table_distances(statistics: TableStatistics) -> Callable[[Tensor], Tensor]:
    """As `TableStatistics.distances`, (n, looks)."""
    scores = _scores(statistics.ranks)
    center, foretold = constant(statistics.center), constant(statistics.foretold)
    columns = torch.tensor(statistics.known.columns)

    def distances(x: Tensor) -> Tensor:
        rows = x.flatten(1)
        seen = cast(_numbers(rows, statistics.ranks.knots))
        z = scores(rows)
        new = torch.zeros_like(z)
        new[:, columns] = torch.tensor(statistics.known(seen))
        pairs = torch.tensor(statistics.pairs(statistics.ranks.bins(seen)))
        far = root(2.0 * torch.maximum(0.5 * z.square(), new).amax(dim=1))
        residuals = ((z - center) @ foretold).square() / _FREEDOM
        return torch.stack([far, pairs, residuals.log1p().sum(dim=1)], dim=1)

    return distances


def _numbers(rows: Tensor, like: Array) -> Array:
    found: Array = rows.detach().numpy().astype(like.dtype)
    return found


def _scores(ranks: Ranks) -> Callable[[Tensor], Tensor]:
    """As `Ranks.scores`."""
    base = torch.tensor(ranks.base, dtype=torch.float64)
    score, slope = (torch.tensor(a, dtype=torch.float64) for a in (ranks.score, ranks.slope))
    column = torch.arange(base.shape[0])

    def scores(rows: Tensor) -> Tensor:
        seen = _numbers(rows, ranks.knots)
        place = torch.tensor((seen[:, :, None] >= ranks.knots).sum(axis=2))
        z = (rows.double() - base[column, place]) * slope[column, place] + score[column, place]
        return torch.nan_to_num(z.clamp(-_FAR, _FAR)).float()

    return scores
