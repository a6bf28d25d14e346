"""Against scipy's logsumexp; and what has no energy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from detectors.base import Unsuitable, View
from detectors.energy import EnergySpec, energy
from tests import tiny


@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
def test_is_the_free_energy(temperature: float) -> None:
    case = tiny.image()
    logits = case.net.predict(case.rows).logits
    assert logits is not None
    score = EnergySpec(temperature=temperature).build({}, case.spec).score(View(case.rows, case.net))
    expected = -temperature * logsumexp(logits / temperature, axis=1)
    assert np.allclose(score, expected, rtol=1e-4, atol=1e-5)


def test_logits_that_are_no_numbers_are_the_most_suspicious() -> None:
    logits = np.array([[1.0, 2.0], [np.nan, 0.0], [3e38, 1.0]], dtype=np.float32)
    score = energy(logits, np.float32(1.0))
    assert np.isfinite(score).all()
    assert score.argmax() == 1


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_log_probabilities_are_refused(temperature: float) -> None:
    case = tiny.image().with_net(log_probabilities=True)
    with pytest.raises(Unsuitable, match="energy needs logits; this model ends in probabilities"):
        EnergySpec(temperature=temperature).refuse_unsuitable(case.spec, case.net.predict(case.rows))


def test_logits_are_welcome() -> None:
    case = tiny.image()
    EnergySpec().refuse_unsuitable(case.spec, case.net.predict(case.rows))
