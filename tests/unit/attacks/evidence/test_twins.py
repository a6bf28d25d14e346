"""A twin scores what its detector scores, on honest and on attacked rows, and has a slope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch

from attacks.evidence import TWINS, NoTwin, twin, twin_of
from attacks.evidence.base import interpolated
from attacks.evidence.squeezing import purified
from attacks.network import Network
from attacks.passes import Passes
from defenses.bit_depth import BitDepthSpec
from defenses.median import MedianSpec
from detectors.adversarial_autoencoder import AdversarialAutoencoderSpec
from detectors.base import DetectorSpec, Reference, View
from detectors.calibration import CERTAIN
from detectors.class_statistics import ClassStatisticsSpec
from detectors.combiner import CombinerSpec
from detectors.contract import ContractSpec
from detectors.deep_mahalanobis import DeepMahalanobisSpec
from detectors.deep_nearest import DeepNearestSpec
from detectors.energy import EnergySpec
from detectors.examples import Examples
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.isolation_forest import IsolationForestSpec
from detectors.local_intrinsic_dimension import LocalIntrinsicDimensionSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.max_softmax import MaxSoftmaxSpec
from detectors.nearest import NearestSpec
from detectors.noise_stability import NoiseStabilitySpec
from detectors.reconstruction import ReconstructionSpec
from detectors.squeezed_odds import SqueezedOddsSpec
from models.batch import Array, Batch
from models.specs import OnnxSpec, load_model, resolve
from tests import tiny
from tests.project import to_onnx

TOLERANCE = 1e-3
SQUEEZERS = (BitDepthSpec(bits=2), MedianSpec(size=2))
SPECS: dict[str, DetectorSpec] = {
    "contract": ContractSpec(),
    "energy": EnergySpec(temperature=2.0),
    "margin": MarginSpec(),
    "max_softmax": MaxSoftmaxSpec(),
    "mahalanobis": MahalanobisSpec(),
    "nearest": NearestSpec(k=3),
    "nearest-components": NearestSpec(k=3, components=4),
    "deep_mahalanobis": DeepMahalanobisSpec(),
    "deep_mahalanobis-last": DeepMahalanobisSpec(layer=-1),
    "deep_nearest": DeepNearestSpec(k=5),
    "local_intrinsic_dimension": LocalIntrinsicDimensionSpec(k=5),
    "input_statistics": InputStatisticsSpec(),
    "input_statistics-residuals": InputStatisticsSpec(look="residuals"),
    "input_statistics-worn": InputStatisticsSpec(worn=True),
    "class_statistics": ClassStatisticsSpec(),
    "feature_squeezing": FeatureSqueezingSpec(squeezers=SQUEEZERS),
    "squeezed_odds": SqueezedOddsSpec(squeezers=SQUEEZERS),
    "noise_stability": NoiseStabilitySpec(noise=0.1),
    "noise_stability-change": NoiseStabilitySpec(noise=0.1, measure="change"),
    "isolation_forest": IsolationForestSpec(trees=20),
    "adversarial_autoencoder": AdversarialAutoencoderSpec(steps=30, width=8, depth=1),
    "adversarial_autoencoder-divergence": AdversarialAutoencoderSpec(measure="divergence", steps=30, width=8, depth=1),
    "reconstruction": ReconstructionSpec(steps=30, width=8, depth=1),
    "combiner": CombinerSpec(),
}
CASES: dict[str, Callable[[], tiny.Case]] = {
    "image": tiny.image,
    "series": lambda: tiny.series((4, 16)),
    "table": tiny.table,
}
UNSUITABLE = {("table", "class_statistics"), ("table", "feature_squeezing"), ("series", "feature_squeezing")}
UNSUITABLE |= {("table", "input_statistics-worn")}
UNSUITABLE |= {("table", "squeezed_odds"), ("series", "squeezed_odds")}
UNSUITABLE |= {("image", "isolation_forest"), ("series", "isolation_forest")}


@dataclass(frozen=True)
class Prepared:
    """A tiny model as a file, in onnxruntime and in torch; its reference, and rows to score."""

    network: Network
    reference: Reference
    rows: View


@cache
def prepared(kind: str) -> Prepared:
    case = CASES[kind]()
    with TemporaryDirectory() as folder:
        to_onnx(case.net, Path(folder) / "net.onnx")
        stated: dict[str, Any] = {"path": Path(folder) / "net.onnx", "layers": "auto"}
        if case.spec.bounds is not None:
            stated["input"] = {"bounds": tuple(case.spec.bounds)}
        spec = resolve(OnnxSpec.model_validate(stated), case.rows.x)
        backend, network = load_model(spec), Network.of(spec)
    assert case.adversarial is not None
    rounded = Batch(np.asarray(np.rint(16.0 * case.adversarial.x) / 16.0, dtype=np.float32))  # as digits are
    batches = [case.rows.take(slice(0, 20)), rounded.take(slice(0, 20))]
    honest, attacked = (View(batch, backend) for batch in (case.rows, rounded))
    reference = case.reference
    fitted = Reference(
        View(reference.view.batch, backend),
        backend.spec,
        reference.y,
        examples=Examples(honest, {"a": attacked}),
        gradients=lambda: lambda x, rows: network.outputs(x).logits,
        worn={"light": View(case.rows.with_x(np.asarray(0.8 * case.rows.x, dtype=np.float32)), backend)},
    )
    return Prepared(network, fitted, View(Batch.concat(batches), backend))


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("name", SPECS)
def test_scores_what_the_detector_scores(kind: str, name: str) -> None:
    if (kind, name) in UNSUITABLE:
        return
    made, spec = prepared(kind), SPECS[name]
    arrays = spec.fit(made.reference)
    detector = spec.build(arrays, made.reference.spec)
    expected = detector.score(made.rows)
    likely = expected < CERTAIN  # what is refused for certain, attacks keep away from
    assert likely.sum() >= 20
    x = torch.tensor(made.rows.x, requires_grad=True)
    found = twin(spec, arrays, made.reference.spec)(Passes(x, made.network))
    gap = np.abs(found.detach().numpy() - expected)[likely]
    assert (gap <= TOLERANCE * np.maximum(1.0, np.abs(expected[likely]))).all()
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert bool(torch.isfinite(slope).all())
    assert float(slope.abs().sum()) > 0.0 or name == "contract"  # no row need be out of range


def test_every_twin_is_tried() -> None:
    built = {
        type(spec.build(spec.fit(prepared(kind).reference), prepared(kind).reference.spec))
        for name, spec in SPECS.items()
        for kind in ("image", "table")
        if (kind, name) not in UNSUITABLE
    }
    assert set(TWINS) <= built


def test_a_detector_without_a_twin_is_named() -> None:
    class Own:
        name = "own"

        def score(self, view: View) -> Array:
            return np.zeros(len(view), dtype=np.float32)

    with pytest.raises(NoTwin, match="own has no differentiable twin"):
        twin_of(Own())


def test_slopes_agree_with_differences_of_the_detector() -> None:
    """Where a detector is smooth: along random directions, its twin's slope foretells how its score moves."""
    made, spec = prepared("image"), InputStatisticsSpec(look="noise")
    arrays = spec.fit(made.reference)
    detector, scored = spec.build(arrays, made.reference.spec), twin(spec, arrays, made.reference.spec)
    x = torch.tensor(made.rows.x[20:30]).clamp(0.05, 0.95).requires_grad_(True)
    (slope,) = torch.autograd.grad(scored(Passes(x, made.network)).sum(), x)
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    foretold = (slope * way).flatten(1).sum(dim=1).numpy()

    def at(step: float) -> Array:
        rows = Batch((x.detach() + step * way).numpy())
        return detector.score(View(rows, made.rows.backend)).astype(np.float64)

    moved = (at(1e-3) - at(-1e-3)) / 2e-3
    assert np.corrcoef(foretold, moved)[0, 1] > 0.99


def test_the_leak_gives_a_slope_and_leaves_the_value() -> None:
    knots, values = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([3.0, 0.0, 4.0]).double()
    x = torch.tensor([-5.0, 0.25, 7.0], requires_grad=True)
    plain, leaking = (interpolated(x, knots, values, leak) for leak in (0.0, 0.5))
    assert plain.tolist() == leaking.tolist() == [3.0, 2.25, 4.0]
    (slope,) = torch.autograd.grad(plain.sum(), x)
    assert slope.tolist() == [0.0, -3.0, 0.0]
    (slope,) = torch.autograd.grad(leaking.sum(), x)
    assert slope.tolist() == [-1.5, -3.0, 2.0]


@pytest.mark.parametrize("spec", SQUEEZERS, ids=lambda spec: spec.kind)
def test_purified_rows_are_the_purifiers_and_have_a_slope(spec: BitDepthSpec | MedianSpec) -> None:
    made = prepared("image")
    purifier = spec.build(made.reference.spec)
    x = torch.tensor(made.rows.x, requires_grad=True)
    found = purified(purifier)(x, made.rows.x.dtype)
    np.testing.assert_allclose(found.detach().numpy(), purifier.apply(made.rows.x), atol=1e-6)
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert float(slope.sum()) == pytest.approx(x.numel(), rel=1e-4)
