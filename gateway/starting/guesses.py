"""What suits a model and rows like these: stages, a purifier, bounds, a budget, a name."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from defenses.base import PurifierSpec, Unsuitable
from defenses.bit_depth import BitDepthSpec
from defenses.jpeg import JpegSpec
from defenses.median import MedianSpec
from detectors.base import DetectorSpec, Reference, View
from detectors.conformal import rows_needed
from detectors.contract import ContractSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.nearest import NearestSpec
from gateway.config import Budget
from gateway.errors import OperatorError
from gateway.training.splits import rows_for
from models.backend import ModelBackend
from models.batch import Batch, Bounds, InputSpec

BUDGETS = ((0.01, 0.05), (0.02, 0.1), (0.05, 0.2), (0.1, 0.3))  # reject, flag: the first that the rows support

# What a stage is for, in the order they run: cheap ones first.
STAGES: tuple[tuple[DetectorSpec, str], ...] = (
    (ContractSpec(), "values outside the range or off the grid that all reference rows keep to"),
    (
        InputStatisticsSpec(),
        "noise, residuals or values that no reference row has; in tables, ones that don't go together",
    ),
    (MahalanobisSpec(), "far from every class, by the spread that the classes have"),
    (NearestSpec(), "far from even the most similar reference rows"),
    (MarginSpec(), "the two likeliest classes are close"),
    (EnergySpec(), "the model finds hardly any class likely"),
    (FeatureSqueezingSpec(), "the answer changes when the row is simplified; only on odd rows, it costs a pass each"),
)
PURIFIERS: tuple[PurifierSpec, ...] = (MedianSpec(), BitDepthSpec(bits=2), BitDepthSpec(bits=3), JpegSpec())
MOST_CHANGED = 0.02  # of honest answers
MOST_TRAINED = 4096  # values of an image: training on larger ones takes longer than all else that calibrate does


def suitable(batch: Batch, backend: ModelBackend, bounds: Bounds | None) -> tuple[tuple[str, str], ...]:
    """The stages that can work on this model and rows like these, as the file spells them, and what each is for."""
    spec = replace(backend.spec, bounds=bounds)
    reference = Reference(View(batch, backend), spec)
    found = []
    for detector, why in STAGES:
        costly = isinstance(detector, FeatureSqueezingSpec)
        if costly and spec.kind != "image":
            continue
        try:
            detector.refuse_unsuitable(spec, reference.view.outputs)
            detector.build(detector.fit(reference), spec)
        except (Unsuitable, ValueError):
            continue
        found.append((f"{{kind: {detector.kind}{', when: suspicious' if costly else ''}}}", why))
    return tuple(found)


def gentle_purifier(batch: Batch, backend: ModelBackend, bounds: Bounds | None) -> str | None:
    """A trained one for small images, where torch is there to train it; else the strongest of some that changes few
    honest answers. As the file spells it; None if there is none.
    """
    spec = replace(backend.spec, bounds=bounds)
    plain = backend.predict(batch).logits
    if spec.kind != "image" or plain is None:
        return None
    if spec.size <= MOST_TRAINED and find_spec("torch") is not None:
        return "kind: denoising_autoencoder, steps: 300"
    for purifier in PURIFIERS:
        try:
            cleaned = backend.predict(batch.with_x(purifier.build(spec).apply(batch.x))).logits
        except Unsuitable:
            continue
        if cleaned is not None and np.mean(cleaned.argmax(axis=1) != plain.argmax(axis=1)) <= MOST_CHANGED:
            return ", ".join(f"{key}: {value}" for key, value in purifier.model_dump().items())
    return None


def guessed_bounds(batch: Batch, spec: InputSpec) -> Bounds | None:
    """The range of an image's values where it is a usual one: [0, 1] or [0, 255]."""
    if spec.bounds is not None or spec.kind != "image":
        return spec.bounds
    low, high = float(np.nanmin(batch.x)), float(np.nanmax(batch.x))
    if low < 0.0 or high > 255.0 or high == low:
        return None
    if spec.dtype.kind in "iu":
        return Bounds(0.0, 255.0)
    return Bounds(0.0, 1.0) if high <= 1.0 else Bounds(0.0, 255.0)


def fitting_budget(holdout_rows: int) -> Budget:
    """The first of the usual budgets that so many holdout rows support.

    Raises:
        OperatorError: they support none.
    """
    for reject, flag in BUDGETS:
        if holdout_rows >= rows_for(rows_needed(reject)):
            return Budget(flag=flag, reject=reject)
    least = rows_for(rows_needed(BUDGETS[-1][0]))
    raise OperatorError(f"expected at least {least} honest rows to set thresholds on, found {holdout_rows}")


def name_for(model: Path) -> str:
    """An endpoint's name from the model's file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model.stem).strip("-.") or "model"
