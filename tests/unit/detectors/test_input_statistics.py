"""Odd pictures, series and table rows, found from the input alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from detectors.base import Reference, Unsuitable, View
from detectors.input_statistics import InputStatistics, InputStatisticsSpec, Look
from models.batch import Array, Batch, Bounds, InputSpec
from tests import tiny

RNG = np.random.default_rng(0)
IMAGE = InputSpec("image", np.dtype("float32"), (3, 16, 16), Bounds(0.0, 1.0), "NCHW")


class NoModel:
    """No model is needed: one that is asked fails the test."""

    def predict(self, batch: Batch) -> None:
        raise AssertionError("input_statistics ran the model")


def view(x: Array) -> View:
    return View(Batch(x.copy()), NoModel())  # type: ignore[arg-type]


def pictures(n: int) -> Array:
    """Smooth random pictures on an 8-bit grid, whose channels go together."""
    gray = gaussian_filter(RNG.normal(size=(n, 1, 16, 16)), (0, 0, 2, 2))
    x = 0.5 + gray + 0.1 * gaussian_filter(RNG.normal(size=(n, 3, 16, 16)), (0, 0, 2, 2))
    return grid(x)


def grid(x: Array) -> Array:
    return np.asarray(np.rint(np.clip(x, 0, 1) * 255) / 255, dtype=np.float32)


REFERENCE, HONEST = pictures(600), pictures(200)


def fitted(look: Look = "all") -> InputStatistics:
    spec = InputStatisticsSpec(look=look)
    built = spec.build(spec.fit(Reference(view(REFERENCE), IMAGE)), IMAGE)
    assert isinstance(built, InputStatistics)
    return built


@pytest.mark.parametrize("look", ["all", "noise"])
def test_noise_of_two_steps_is_found(look: Look) -> None:
    detector = fitted(look)
    noisy = grid(HONEST + RNG.choice([-2, 2], HONEST.shape) / 255)
    assert (detector.score(view(noisy)) > np.quantile(detector.score(view(HONEST)), 0.99)).all()


@pytest.mark.parametrize(
    "x",
    [np.full((1, 3, 16, 16), 0.5), RNG.random((1, 3, 16, 16)), np.ones((1, 3, 16, 16))],
    ids=["gray", "noise", "white"],
)
def test_what_is_no_picture_is_found(x: Array) -> None:
    assert fitted().score(view(grid(x)))[0] > 2.0


def test_one_honest_row_in_a_hundred_scores_above_one_by_each_look() -> None:
    looks: tuple[Look, ...] = ("noise", "residuals", "values")
    for look in looks:
        share = (fitted(look).score(view(pictures(1000))) > 1.0).mean()
        assert 0.0 < share < 0.04


def test_says_what_is_unusual() -> None:
    flat = grid(np.full((3, 16, 16), 0.5))
    assert fitted("noise").explain(flat).startswith("noise: patch variance along axis ")
    assert fitted("noise").explain(flat).endswith(" standard units below the usual")
    assert fitted("values").explain(flat).startswith("values: ")


def test_names_tell_looks_apart() -> None:
    assert [fitted("all").name, fitted("noise").name] == ["input_statistics", "input_statistics-noise"]


def test_a_look_that_the_input_does_not_have_is_refused() -> None:
    with pytest.raises(Unsuitable, match="look: expected all, noise, residuals, values, found 'pairs'"):
        fitted("pairs")


def test_few_rows_are_refused() -> None:
    with pytest.raises(Unsuitable, match="needs 50 reference rows or more, not 49"):
        InputStatisticsSpec().fit(Reference(view(REFERENCE[:49]), IMAGE))


def test_says_what_it_learned() -> None:
    arrays = InputStatisticsSpec().fit(Reference(view(REFERENCE), IMAGE))
    assert InputStatisticsSpec().notes(arrays, IMAGE) == (
        "input_statistics: looks at noise, residuals, values of image rows, learned from 600 rows",
    )


def test_finds_an_attack_on_the_digits() -> None:
    case = tiny.image()
    assert case.adversarial is not None
    spec = InputStatisticsSpec()
    detector = spec.build(spec.fit(case.reference), case.spec)
    honest, found = detector.score(View(case.rows, case.net)), detector.score(View(case.adversarial, case.net))
    assert (found > np.quantile(honest, 0.95)).mean() > 0.95


def test_a_glitch_in_a_series_is_found() -> None:
    spec = InputSpec("series", np.dtype("float32"), (64,), None)
    waves = np.sin(RNG.uniform(0, 6, (500, 1)) + np.arange(64) / RNG.uniform(4, 6, (500, 1))).astype(np.float32)
    kind = InputStatisticsSpec()
    detector = kind.build(kind.fit(Reference(view(waves[:400]), spec)), spec)
    glitched = waves[400:].copy()
    glitched[:, 30] += 0.3
    cut = np.quantile(detector.score(view(waves[400:])), 0.95)
    assert (detector.score(view(glitched)) > cut).mean() > 0.9


def test_columns_shuffled_between_rows_are_found() -> None:
    group = RNG.integers(0, 8, 3000)
    x = np.stack([group, group * 10 + 3, RNG.normal(size=3000), (group * 5) % 8], axis=1).astype(np.float32)
    spec = InputSpec("table", np.dtype("float32"), (4,))
    kind = InputStatisticsSpec()
    detector = kind.build(kind.fit(Reference(view(x[:2000]), spec)), spec)
    shuffled = np.stack([RNG.permutation(column) for column in x[2000:].T], axis=1)
    cut = np.quantile(detector.score(view(x[2000:])), 0.99)
    assert (detector.score(view(shuffled)) > cut).mean() > 0.95


def test_what_is_usual_of_worn_rows_is_usual_and_attacks_still_are_not() -> None:
    lit = {"light": view(grid(REFERENCE[:300] + 0.15))}
    reference, spec = Reference(view(REFERENCE), IMAGE, worn=lit), InputStatisticsSpec(look="values", worn=True)
    arrays = spec.fit(reference)
    detector, plain = spec.build(arrays, IMAGE), fitted("values")
    assert detector.name == "input_statistics-values-worn"
    rows, gray = view(grid(HONEST + 0.15)), view(np.full((3, 3, 16, 16), 0.5, dtype=np.float32))
    found, before = detector.score(rows), plain.score(rows)
    assert np.median(found) < 0.3 * np.median(before)
    assert (detector.score(gray) > np.quantile(found, 0.99)).all()
    again = InputStatisticsSpec.model_validate_json(spec.model_dump_json()).build(arrays, IMAGE)
    np.testing.assert_array_equal(again.score(rows), found)


def test_without_wear_to_learn_from_there_is_none_to_spare() -> None:
    with pytest.raises(Unsuitable, match="comes with no wear"):
        InputStatisticsSpec(worn=True).fit(Reference(view(REFERENCE), IMAGE))
