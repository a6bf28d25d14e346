"""An autoencoder that keeps a model's answers, trained through the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from defenses.base import Effort, Unsuitable
from defenses.denoising_autoencoder import DenoisingAutoencoder
from detectors.adversarial_autoencoder import AdversarialAutoencoder, AdversarialAutoencoderSpec
from detectors.base import View
from models.batch import Array
from tests import tiny

SMALL = AdversarialAutoencoderSpec(steps=100, width=16, depth=2, measure="divergence")


def logits(case: tiny.Case, x: Array) -> Array:
    found = case.net.predict(case.rows.with_x(x)).logits
    assert found is not None
    return found


@pytest.fixture(scope="module")
def built() -> AdversarialAutoencoder:
    case = tiny.image()
    detector = SMALL.build(SMALL.fit(case.reference), case.spec)
    assert isinstance(detector, AdversarialAutoencoder)
    return detector


def test_is_the_divergence_of_both_answers(built: AdversarialAutoencoder) -> None:
    case = tiny.image()
    x = case.rows.x
    p, q = (softmax(logits(case, rows) / 2.0, axis=1) for rows in (x, built.autoencoder.apply(x)))
    expected = (p * np.log(p / np.maximum(q, 1e-30))).sum(axis=1)
    assert np.allclose(built.score(View(case.rows, case.net)), expected, atol=1e-4)


def test_training_brings_the_answers_of_noisy_rows_nearer(built: AdversarialAutoencoder) -> None:
    case, autoencoder = tiny.image(), built.autoencoder
    assert isinstance(autoencoder, DenoisingAutoencoder)
    x = case.rows.x
    noise = 0.2 * np.random.default_rng(0).standard_normal((len(x), 1, 4, 4)).repeat(2, axis=2).repeat(2, axis=3)
    noisy = (x + noise).astype(np.float32)
    added = autoencoder.folding.unfold(autoencoder.network.run(autoencoder.folding.fold(noisy)), x.shape)
    p = log_softmax(logits(case, x), axis=1)
    before, after = (log_softmax(logits(case, rows), axis=1) for rows in (noisy, noisy + added))
    assert (np.exp(p) * (p - after)).sum(axis=1).mean() < (np.exp(p) * (p - before)).sum(axis=1).mean()


def test_costs_one_pass_of_the_model(built: AdversarialAutoencoder) -> None:
    case = tiny.image()
    view = View(case.rows, case.net)
    built.score(view)
    assert view.rows_run == 2 * len(case.rows)


def test_quick_training_takes_fewer_steps_and_tells_how_far_it_is() -> None:
    case, told = tiny.image(), list[tuple[Any, ...]]()
    effort = Effort(quick=True, progress=lambda *news: told.append(news))
    SMALL.fit(replace(case.reference, effort=effort))
    assert told[-1][1:] == (20, 20)
    assert [done for _, done, _ in told] == list(range(1, 21))


def test_says_what_it_lacks() -> None:
    reference = tiny.image().reference

    def none() -> Any:
        raise Unsuitable("torch is not installed")

    with pytest.raises(Unsuitable, match="trained with gradients of the model, and there are none"):
        SMALL.fit(replace(reference, gradients=None))
    with pytest.raises(Unsuitable, match="trained with gradients of the model: torch is not installed"):
        SMALL.fit(replace(reference, gradients=none))
