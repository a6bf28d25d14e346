from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from detectors.drift.cells import HIDDEN, MISSING, SEEN
from detectors.drift.encoder import Encoder, Rows
from detectors.drift.fourier import ONE
from detectors.drift.outputs import output_series
from detectors.drift.projection import Projection
from tests import drifting


def test_names_what_it_tracks() -> None:
    encoder = Encoder.fit(drifting.rows(500, 0), columns=("joint", "b", "energy"))
    assert encoder.names == ("column joint", "b", "column energy", "class", "confidence", "energy", "flagged")
    assert encoder.ordered.tolist() == [True] * 3 + [False] + [True] * 3


def test_features_are_tracked_by_component_and_distance() -> None:
    features = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    encoder = Encoder.fit(Rows(features), projection=Projection.fit(features, components=2))
    assert encoder.names == ("component 1", "component 2", "residual")


def test_log_probabilities_have_no_energy() -> None:
    logits = np.random.default_rng(0).normal(size=(300, 3))
    log_probabilities = (logits - logsumexp(logits, axis=1, keepdims=True)).astype(np.float32)
    assert Encoder.fit(Rows(logits=log_probabilities)).names == ("class", "confidence")


def test_nothing_to_track_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to track"):
        Encoder.fit(Rows(np.zeros((5, 0))))


def test_a_missing_value_is_counted_and_a_row_of_features_with_one_has_no_components() -> None:
    rows = drifting.rows(500, 0)
    encoder = Encoder.fit(rows)
    assert rows.columns is not None
    assert rows.flagged is not None
    cells, _ = encoder.encode(encoder.series(rows))
    assert ((cells[:, 2] == MISSING) == (np.isnan(rows.columns[:, 2]) & ~rows.flagged)).all()
    features = np.random.default_rng(0).normal(size=(300, 8))
    projection = Projection.fit(features)
    features[3, 2] = np.nan
    assert all(np.isnan(values[3]) and np.isfinite(values[4]) for values in projection(features))


def test_outputs_are_the_class_its_probability_and_the_energy() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * 5
    predicted, confidence, energy = output_series(logits)
    assert (predicted == logits.argmax(axis=1)).all()
    assert confidence == pytest.approx(softmax(logits.astype(np.float64), axis=1).max(axis=1), abs=1e-6)
    assert energy == pytest.approx(-logsumexp(logits.astype(np.float64), axis=1), abs=1e-6)


def test_logits_that_are_no_numbers_are_missing() -> None:
    found = output_series(np.array([[1.0, np.nan], [np.inf, 0.0], [1.0, 2.0]]))
    assert all(np.isnan(values).tolist() == [True, True, False] for values in found)


def test_components_are_those_of_the_singular_values() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 6)) * [9.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    found = Projection.fit(features, components=2)(features)
    centered = features - features.mean(axis=0)
    assert np.abs(np.corrcoef(found[0], centered[:, 0])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(found[1], centered[:, 1])[0, 1]) > 0.99
    assert found[2] == pytest.approx(np.sqrt((centered**2).sum(1) - found[0] ** 2 - found[1] ** 2), abs=0.15)


def test_waves_estimate_a_gaussian_kernel_of_the_scores() -> None:
    rows = replace(drifting.rows(2000, 0), flagged=None)
    encoder = Encoder.fit(rows)
    cells, waves = encoder.encode(encoder.series(rows))
    picked = encoder.fourier.scores[np.arange(len(encoder.names)), cells] / 2**8
    squared = ((picked[:200, None] - picked[None, :200]) ** 2).sum(-1)
    width = np.median(((picked[:1000] - picked[1000:]) ** 2).sum(-1))
    estimate = 2.0 * (waves[:200] / ONE) @ (waves[:200] / ONE).T / waves.shape[1]
    assert np.abs(estimate - np.exp(-squared / (2 * width))).mean() < 0.12


def test_survives_arrays() -> None:
    rows = drifting.rows(500, 0)
    for encoder in (
        Encoder.fit(rows),
        Encoder.fit(Rows(np.nan_to_num(rows.columns)), projection=Projection.fit(np.nan_to_num(rows.columns))),  # type: ignore[arg-type]
    ):
        again = Encoder.from_arrays(encoder.to_arrays())
        assert again.names == encoder.names
        assert again.sums(rows) == encoder.sums(rows)


def test_a_flagged_row_counts_as_flagged_and_nowhere_else() -> None:
    rows = drifting.rows(1000, 0)
    assert rows.flagged is not None
    encoder = Encoder.fit(rows)
    sums = encoder.sums(rows)
    allowed = encoder.sums(rows.take(~rows.flagged))
    flagged = int(rows.flagged.sum())
    assert (sums.waves == allowed.waves).all()
    assert (sums.counts[:-1, SEEN] == allowed.counts[:-1, SEEN]).all()
    assert (sums.counts[:-1, HIDDEN] == flagged).all()
    assert sums.counts[-1, 1:3].tolist() == [1000 - flagged, flagged]


def test_attacks_that_are_flagged_do_not_move_the_other_series() -> None:
    monitor = drifting.monitor()
    honest = drifting.rows(400, 3)
    attack = replace(drifting.rows(100, 4, shift=9.0), flagged=np.ones(100, dtype=bool))
    sums = monitor.encoder.sums(honest) + monitor.encoder.sums(attack)
    started = [reading.series for reading in monitor.fold(monitor.start(), 0, sums).started]
    assert started == ["flagged"]
