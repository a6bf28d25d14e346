"""The error of what was learned of honest rows."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from detectors.base import Reference, View
from detectors.reconstruction import ReconstructionSpec
from models.batch import Array, Batch
from tests import tiny


def score(case: tiny.Case, x: Array, fresh: Array, spec: ReconstructionSpec) -> Array:
    arrays = spec.fit(Reference(View(Batch(x), case.net), case.spec))
    return spec.build(arrays, case.spec).score(View(Batch(fresh), case.net))


def flat_table(n: int, seed: int) -> Array:
    """64 columns that two numbers make, and a little noise."""
    rng = np.random.default_rng(seed)
    ways = np.random.default_rng(9).normal(size=(2, 64))
    return np.asarray(rng.normal(size=(n, 2)) @ ways + 0.01 * rng.normal(size=(n, 64)), dtype=np.float32)


def test_tables_are_measured_off_their_principal_components() -> None:
    case, fresh = tiny.table(), flat_table(50, 1)
    spec = ReconstructionSpec(share=0.99)
    inside = score(case, flat_table(500, 0), 3.0 * fresh, spec)
    off = fresh.copy()
    off[:, 7] += 1.0
    assert score(case, flat_table(500, 0), off, spec).min() > 2.0 * inside.max()


def test_some_part_of_a_table_is_always_left() -> None:
    case = tiny.table()
    spec = ReconstructionSpec(share=0.999999)
    assert spec.fit(case.reference)["components"].shape[1] < 64


def test_a_missing_value_and_a_constant_column_do_no_harm() -> None:
    case = tiny.table(missing=True)
    x = case.reference.view.x.copy()
    x[:, 5] = 1.0
    assert np.isfinite(score(case, x, case.rows.x.copy(), ReconstructionSpec())).all()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_images_are_measured_by_what_the_network_changes(dtype: str) -> None:
    case = tiny.image(dtype=dtype)
    spec = ReconstructionSpec(steps=5, width=4, depth=1)
    network = DenoisingAutoencoderSpec(steps=5, width=4, depth=1)
    arrays = spec.fit(case.reference)
    x = case.rows.x
    pure = network.build(case.spec, arrays).apply(x)
    assert case.spec.bounds is not None
    high = case.spec.bounds.high
    expected = np.abs(pure.astype(float) - x).reshape(len(x), -1).mean(axis=1) / high
    assert np.allclose(spec.build(arrays, case.spec).score(View(case.rows, case.net)), expected, atol=1e-6)


def test_its_network_is_the_purifiers_with_the_same_keys() -> None:
    spec = ReconstructionSpec(share=0.5, noise=0.7, steps=12, width=5, depth=2, seed=3)
    expected = DenoisingAutoencoderSpec(noise=0.7, steps=12, width=5, depth=2, seed=3)
    assert DenoisingAutoencoderSpec.of(spec) == expected
