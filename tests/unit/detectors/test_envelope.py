from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration import CERTAIN, TailMap
from detectors.envelope import MORE, Kind, envelope, with_wear


def draws(shift: float, seed: int, n: int = 4000) -> Kind:
    return Kind(np.random.default_rng(seed).normal(size=n) + shift)


@pytest.mark.parametrize("p", [0.3, 0.05, 0.01])
def test_a_cut_flags_its_share_of_honest_rows_and_twice_that_of_worn_ones_at_most(p: float) -> None:
    tail = TailMap.fit(*envelope(draws(0.0, 0), [with_wear(draws(shift, 1).scores) for shift in (-1.0, 0.2, 1.5)]))
    flagged = {shift: float((tail(draws(shift, 2).scores) < p).mean()) for shift in (-1.0, 0.0, 0.2, 1.5)}
    assert flagged[1.5] == pytest.approx(MORE * p, rel=0.3)
    assert flagged[0.0] <= 1.1 * p
    assert max(flagged.values()) == flagged[1.5]


def test_wear_that_looks_honest_changes_nothing_much() -> None:
    honest = draws(0.0, 0)
    plain, beside = TailMap.fit(honest.scores), TailMap.fit(*envelope(honest, [with_wear(draws(-0.5, 1).scores)]))
    asked = np.linspace(0.0, 3.0, 50)
    np.testing.assert_allclose(beside(asked), plain(asked), rtol=0.2)


def test_shares_of_gated_rows_count() -> None:
    scores, share = envelope(Kind(draws(0.0, 0).scores, share=0.1), [with_wear(draws(0.0, 1).scores, share=0.4)])
    assert share == pytest.approx(0.2)
    tail = TailMap.fit(scores, share=share)
    assert float(tail(np.array([-10.0]))[0]) == pytest.approx(0.2, rel=0.01)
    assert float(tail(np.array([0.0]))[0]) == pytest.approx(0.1, rel=0.1)


def test_too_few_worn_rows_and_certain_ones_say_nothing() -> None:
    honest = draws(0.0, 0)
    assert envelope(honest, [with_wear(np.full(5, 9.0))])[0] is honest.scores
    sure = with_wear(np.append(draws(-3.0, 1).scores, np.full(9, CERTAIN)))
    assert envelope(honest, [sure])[0].max() < CERTAIN
