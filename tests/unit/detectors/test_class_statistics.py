"""Figures of the input, by the class that the model predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.base import Reference, Unsuitable, View
from detectors.class_statistics import ClassStatistics, ClassStatisticsSpec
from detectors.input_statistics import InputStatisticsSpec
from models.backend import Outputs
from models.batch import Array, Batch, Bounds, InputSpec

RNG = np.random.default_rng(0)
SPEC = InputSpec("image", np.dtype("float32"), (1, 8, 8), Bounds(0.0, 1.0), "NCHW")


class Brightness:
    """Bright rows are of class 1, very bright ones of class 2, others of class 0."""

    def predict(self, batch: Batch) -> Outputs:
        level = batch.x.mean(axis=(1, 2, 3))
        classes = (level > 0.5).astype(int) + (level > 0.9)
        return Outputs({}, logits=np.eye(3, dtype=np.float32)[classes])


def view(x: Array) -> View:
    return View(Batch(x.astype(np.float32)), Brightness())  # type: ignore[arg-type]


def rows(n: int, level: float, noise: float) -> Array:
    return np.asarray(np.rint(np.clip(level + noise * RNG.normal(size=(n, 1, 8, 8)), 0, 1) * 255) / 255)


CALM, WILD = (0.3, 0.02), (0.7, 0.1)  # class 0 has little noise, class 1 much
REFERENCE = Reference(view(np.concatenate([rows(900, *CALM), rows(900, *WILD)])), SPEC)


def built(spec: ClassStatisticsSpec) -> ClassStatistics:
    detector = spec.build(spec.fit(REFERENCE), SPEC)
    assert isinstance(detector, ClassStatistics)
    return detector


def test_noise_that_is_usual_in_another_class_only_is_found() -> None:
    detector, honest = built(ClassStatisticsSpec(look="noise")), np.concatenate([rows(200, *CALM), rows(200, *WILD)])
    cut = np.quantile(detector.score(view(honest)), 0.99)
    assert (detector.score(view(rows(100, CALM[0], WILD[1]))) > cut).all()
    assert (detector.score(view(rows(100, WILD[0], CALM[1]))) > cut).all()
    plain = InputStatisticsSpec(look="noise")
    blind = plain.build(plain.fit(REFERENCE), SPEC)
    cut = np.quantile(blind.score(view(honest)), 0.99)
    assert (blind.score(view(rows(100, CALM[0], WILD[1]))) > cut).mean() < 0.2


def test_a_class_of_few_rows_is_held_against_all() -> None:
    detector = built(ClassStatisticsSpec())
    assert detector.which.tolist() == [1, 2, 0]
    assert np.isfinite(detector.score(view(rows(5, 0.95, 0.01)))).all()


def test_looks_share_their_figures_with_input_statistics() -> None:
    plain = InputStatisticsSpec()
    other = plain.build(plain.fit(REFERENCE), SPEC)
    seen = view(rows(5, *CALM))
    other.score(seen)
    built(ClassStatisticsSpec()).score(seen)
    built(ClassStatisticsSpec(look="values")).score(seen)
    assert len([key for key in seen._kept if str(key).startswith("figures ")]) == 1


def test_names_tell_looks_apart() -> None:
    assert [built(ClassStatisticsSpec()).name, built(ClassStatisticsSpec(look="noise")).name] == [
        "class_statistics",
        "class_statistics-noise",
    ]


def test_says_how_many_classes_have_rows() -> None:
    assert ClassStatisticsSpec().notes(ClassStatisticsSpec().fit(REFERENCE), SPEC) == (
        "class_statistics: 2 of 3 classes have enough reference rows to be held against their own",
    )


def test_few_rows_are_refused() -> None:
    with pytest.raises(Unsuitable, match="needs 100 reference rows or more, not 99"):
        ClassStatisticsSpec().fit(replace(REFERENCE, view=REFERENCE.view.take(np.arange(99))))
