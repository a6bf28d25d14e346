"""Differentiable twins of detectors: the same score of the same rows, in torch, for attacks that know the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attacks.evidence.autoencoder import adversarial_autoencoder, component_error, network_error
from attacks.evidence.base import NoTwin, Twin
from attacks.evidence.combiner import combiner
from attacks.evidence.contract import contract
from attacks.evidence.isolation import isolation_forest
from attacks.evidence.odds import noise_stability, squeezed_odds
from attacks.evidence.outputs import (
    deep_mahalanobis,
    deep_nearest,
    energy,
    local_intrinsic_dimension,
    mahalanobis,
    margin_twin,
    max_softmax,
    nearest,
)
from attacks.evidence.squeezing import feature_squeezing
from attacks.evidence.statistics import class_statistics, input_statistics
from detectors.adversarial_autoencoder import AdversarialAutoencoder
from detectors.base import Detector, DetectorSpec
from detectors.class_statistics import ClassStatistics
from detectors.combiner import Combiner
from detectors.contract import Contract
from detectors.deep_mahalanobis import DeepMahalanobis
from detectors.deep_nearest import DeepNearest
from detectors.energy import Energy
from detectors.feature_squeezing import FeatureSqueezing
from detectors.input_statistics import InputStatistics
from detectors.isolation_forest import IsolationForest
from detectors.local_intrinsic_dimension import LocalIntrinsicDimension
from detectors.mahalanobis import Mahalanobis
from detectors.margin import Margin
from detectors.max_softmax import MaxSoftmax
from detectors.nearest import Nearest
from detectors.noise_stability import NoiseStability
from detectors.reconstruction import ComponentError, NetworkError
from detectors.squeezed_odds import SqueezedOdds
from models.batch import Arrays, InputSpec

__all__ = ["NoTwin", "Twin", "twin", "twin_of"]

TWINS: dict[type, Callable[[Any], Twin]] = {
    AdversarialAutoencoder: adversarial_autoencoder,
    ClassStatistics: class_statistics,
    ComponentError: component_error,
    Contract: contract,
    DeepMahalanobis: deep_mahalanobis,
    DeepNearest: deep_nearest,
    Energy: energy,
    FeatureSqueezing: feature_squeezing,
    InputStatistics: input_statistics,
    IsolationForest: isolation_forest,
    LocalIntrinsicDimension: local_intrinsic_dimension,
    Mahalanobis: mahalanobis,
    Margin: margin_twin,
    MaxSoftmax: max_softmax,
    Nearest: nearest,
    NetworkError: network_error,
    NoiseStability: noise_stability,
    SqueezedOdds: squeezed_odds,
}


def twin(spec: DetectorSpec, arrays: Arrays, input_spec: InputSpec, *, leak: float = 0.0) -> Twin:
    """The twin of what `spec.build(arrays, input_spec)` is. `leak` gives a capped combiner a slope beyond its caps.

    Raises:
        NoTwin: the detector has none.
    """
    return twin_of(spec.build(arrays, input_spec), leak=leak)


def twin_of(detector: Detector, *, leak: float = 0.0) -> Twin:
    """The twin of a detector.

    Raises:
        NoTwin: it has none.
    """
    if isinstance(detector, Combiner):
        return combiner(detector, twin_of, leak)
    made = TWINS.get(type(detector))
    if made is None:
        raise NoTwin(f"{detector.name} has no differentiable twin")
    return made(detector)
