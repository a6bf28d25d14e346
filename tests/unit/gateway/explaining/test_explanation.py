"""What a combiner's pieces add up to."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import View
from detectors.combiner import Combiner, Piece
from detectors.energy import EnergySpec
from detectors.margin import MarginSpec
from gateway.explaining.explanation import _pieces
from models.batch import NO_ARRAYS
from tests import tiny

CONSTANT = -3.0


def test_pieces_and_a_constant_are_the_score() -> None:
    case = tiny.image()
    detectors = [spec.build(NO_ARRAYS, case.spec) for spec in (MarginSpec(), EnergySpec())]
    scores = [detector.score(View(case.rows, case.net)) for detector in detectors]
    knots = [np.quantile(score, [0.5, 1.0]) for score in scores]
    first, second = np.array([0.0, 2.0]) + CONSTANT, np.array([0.0, 5.0])  # as a combiner keeps its constant
    pieces = tuple(Piece(*parts) for parts in zip(detectors, knots, (first, second), strict=True))
    combiner = Combiner(pieces, rarest=False)
    for row in range(20):
        view = View(case.rows.take(slice(row, row + 1)), case.net)
        found = _pieces(combiner, view)
        assert [piece.name for piece in found if piece.adds < 0.0] == []
        assert CONSTANT + sum(piece.adds for piece in found) == pytest.approx(combiner.score(view)[0], abs=1e-5)
