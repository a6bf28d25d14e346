"""Every detector of the catalogue, before every kind of model; and planted law breakers, each refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pytest

from defenses.bit_depth import BitDepthSpec
from detectors.adversarial_autoencoder import AdversarialAutoencoderSpec
from detectors.alibi import AlibiSpec
from detectors.base import Detector, DetectorSpec, Reference, Unsuitable, View
from detectors.catalogue import AnyDetectorSpec
from detectors.class_statistics import ClassStatisticsSpec
from detectors.combiner import CombinerSpec
from detectors.contract import ContractSpec
from detectors.custom import CustomSpec
from detectors.deep_mahalanobis import DeepMahalanobisSpec
from detectors.deep_nearest import DeepNearestSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.isolation_forest import IsolationForestSpec
from detectors.laws import LawBroken, check_detector
from detectors.local_intrinsic_dimension import LocalIntrinsicDimensionSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.max_softmax import MaxSoftmaxSpec
from detectors.nearest import NearestSpec
from detectors.noise_stability import NoiseStabilitySpec
from detectors.onnx import OnnxScoreSpec
from detectors.reconstruction import ReconstructionSpec
from detectors.sklearn import SklearnSpec
from detectors.squeezed_odds import SqueezedOddsSpec
from models.batch import Array, Arrays, InputSpec
from tests import graphs, tiny

SPECS: list[DetectorSpec] = [
    ContractSpec(),
    InputStatisticsSpec(),
    ClassStatisticsSpec(),
    MahalanobisSpec(),
    NearestSpec(k=3),
    EnergySpec(temperature=2.0),
    MarginSpec(),
    MaxSoftmaxSpec(),
    DeepMahalanobisSpec(),
    DeepNearestSpec(k=5),
    LocalIntrinsicDimensionSpec(),
    FeatureSqueezingSpec(squeezers=(BitDepthSpec(bits=2),)),
    SqueezedOddsSpec(),
    NoiseStabilitySpec(noise=0.1),
    IsolationForestSpec(trees=30),
    AdversarialAutoencoderSpec(steps=30, width=8, depth=1),
    ReconstructionSpec(steps=150, width=16, depth=1),
    OnnxScoreSpec(path=graphs.ink_file()),
    SklearnSpec(estimator="sklearn.ensemble.IsolationForest", parameters={"n_estimators": 10}),
    CustomSpec.model_validate({"kind": "custom", "spec": "detectors.nearest:NearestSpec", "k": 20}),
    CombinerSpec(),
]
CASES: dict[str, Callable[[], tiny.Case]] = {
    "image-nchw": tiny.image,
    "image-nhwc": lambda: tiny.image("NHWC"),
    "image-uint8": lambda: tiny.image(dtype="uint8"),
    "image-float16": lambda: tiny.image(dtype="float16"),
    "image-without-features": lambda: tiny.image().with_net(features=False, layers=False),
    "table": tiny.table,
    "table-float64": lambda: tiny.table(dtype="float64"),
    "table-missing": lambda: tiny.table(missing=True),
    "table-tree": lambda: tiny.table(missing=True).with_net(features=False, layers=False, log_probabilities=True),
    "embedding": lambda: tiny.table().with_net(logits=False),
    "series": tiny.series,
    "series-channels": lambda: tiny.series((4, 16)),
    "tokens": tiny.tokens,
}
LACKING = {
    ("energy", "embedding"): r"energy needs class logits; this model has none \(outputs: logits\)",
    ("margin", "embedding"): r"margin needs class logits; this model has none",
    ("max_softmax", "embedding"): r"max_softmax needs class logits; this model has none",
    ("deep_mahalanobis", "embedding"): r"deep_mahalanobis needs class logits; this model has none",
    ("deep_nearest", "embedding"): r"deep_nearest needs class logits; this model has none",
    ("energy", "table-tree"): r"energy needs logits; this model ends in probabilities",
    ("feature_squeezing", "embedding"): r"feature_squeezing needs class logits; this model has none",
    ("feature_squeezing", "table-missing"): r"needs to know the range of the input: state `input.bounds`",
    ("feature_squeezing", "table-float64"): r"state `input.bounds`",
    ("feature_squeezing", "table-tree"): r"state `input.bounds`",
    ("feature_squeezing", "table"): r"bit_depth needs .* state `input.bounds`",
    ("input_statistics", "tokens"): r"works on image and series and table inputs; this one is tokens",
    ("feature_squeezing", "tokens"): r"works on image and series and table inputs; this one is tokens",
}
LACKING |= {
    (kind, case): f"{kind} {says}"
    for kind in ("squeezed_odds", "noise_stability", "adversarial_autoencoder")
    for case, says in {
        "embedding": "needs class logits; this model has none",
        "tokens": "works on image and series and table inputs; this one is tokens",
    }.items()
}
LACKING |= {
    ("squeezed_odds", case): "squeezed_odds has no squeezers of its own for tables: list some as `squeezers`"
    for case in ("table", "table-float64", "table-missing", "table-tree")
}
LACKING |= {
    ("onnx", case): r"ink.onnx: \d+ of 1000 reference rows have no finite score"
    for case in ("table-missing", "table-tree")
}
LACKING[("reconstruction", "tokens")] = "reconstruction works on image and series and table inputs; this one is tokens"
LACKING |= {
    ("isolation_forest", case): "isolation_forest works on table inputs; this one is "
    for case in CASES
    if not case.startswith(("table", "embedding"))
}
LACKING |= {
    ("class_statistics", case): "class_statistics works on image and series inputs; this one is "
    for case in ("table", "table-float64", "table-missing", "table-tree", "embedding", "tokens")
}
LACKING |= {
    (kind, case): rf"{kind} needs layers; this model has none"
    for kind in ("deep_mahalanobis", "deep_nearest", "local_intrinsic_dimension")
    for case in ("image-without-features", "table-tree")
}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("case", CASES)
def test_keeps_the_laws(spec: DetectorSpec, case: str) -> None:
    made = CASES[case]()
    lacking = LACKING.get((spec.kind, case))
    if lacking is not None:
        with pytest.raises(Unsuitable, match=lacking):
            check_detector(spec, made.reference, made.rows, made.adversarial)
        return
    check_detector(spec, made.reference, made.rows, made.adversarial)


def test_every_detector_of_the_catalogue_is_tried() -> None:
    elsewhere = {AlibiSpec}  # an optional extra: tests/unit/detectors/test_alibi.py
    assert set(get_args(get_args(AnyDetectorSpec)[0])) == {type(spec) for spec in SPECS} | elsewhere


@dataclass
class Planted:
    """Scores the largest value of a row, and breaks one law on the way."""

    law: str
    weights: Array
    name: str = "planted"
    seen: list[int] = field(default_factory=list)

    def score(self, view: View) -> Array:
        logits = view.outputs.logits
        assert logits is not None
        score = np.asarray(-logits.max(axis=1), dtype=np.float32)
        match self.law:
            case "batch":
                return score - (score.mean() if len(score) else np.float32(0.0))
            case "mutates":
                self.seen.append(len(view))
            case "learns":
                self.weights += 1.0
            case "writes":
                logits *= 2.0
            case "dtype":
                return score.astype(np.float64)
            case "nan":
                return np.where(score > np.median(score) if len(score) else True, np.float32(np.nan), score)
            case "shape":
                return score[:, None]
            case "random":
                return np.random.default_rng().random(len(score), dtype=np.float32)
            case "upside down":
                return -score
        return score


class PlantedSpec(DetectorSpec):
    kind: str = "planted"
    law: str

    def fit(self, reference: Reference) -> Arrays:
        match self.law:
            case "pickles":
                return {"learned": np.array([{"an": "object"}])}
            case "unseeded":
                return {"learned": np.random.default_rng().random(3)}
        return {"learned": np.zeros(3)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Planted(self.law, arrays["learned"])


class Loose(PlantedSpec):
    """Does not survive JSON."""

    def model_dump_json(self, **kwargs: Any) -> str:
        return '{"law": "another"}'


BROKEN = {
    "batch": "a row must score the same in a flood of one row",
    "mutates": "must not change when it scores",
    "learns": "must not change when it scores",
    "writes": "must not write to the model's outputs",
    "dtype": "scores must be float32, not float64",
    "nan": "scores must be finite",
    "shape": r"must return one score a row, \(200,\), not \(200, 1\)",
    "random": "must score the same rows the same way twice",
    "upside down": "adversarial rows must score above honest ones on average; they do in",
    "pickles": "`learned` must be an array, of no objects",
    "unseeded": "fitting twice on the same rows must learn the same",
}


@pytest.mark.parametrize(("law", "says"), BROKEN.items())
def test_a_law_breaker_is_refused(law: str, says: str) -> None:
    case = tiny.image()
    with pytest.raises(LawBroken, match=f"planted: {says}"):
        check_detector(PlantedSpec(law=law), case.reference, case.rows, case.adversarial)


def test_a_spec_that_json_changes_is_refused() -> None:
    case = tiny.image()
    with pytest.raises(LawBroken, match="survive JSON"):
        check_detector(Loose(law="none"), case.reference, case.rows)


def test_one_that_breaks_no_law_passes() -> None:
    case = tiny.image()
    check_detector(PlantedSpec(law="none"), case.reference, case.rows, case.adversarial)
