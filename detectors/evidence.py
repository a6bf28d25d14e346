"""Every detector that looks at a row by itself: what a combiner may combine."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from detectors.adversarial_autoencoder import AdversarialAutoencoderSpec
from detectors.alibi import AlibiSpec
from detectors.class_statistics import ClassStatisticsSpec
from detectors.contract import ContractSpec
from detectors.custom import CustomSpec
from detectors.deep_mahalanobis import DeepMahalanobisSpec
from detectors.deep_nearest import DeepNearestSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.isolation_forest import IsolationForestSpec
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

EvidenceSpec: TypeAlias = (
    ContractSpec
    | InputStatisticsSpec
    | ClassStatisticsSpec
    | MarginSpec
    | MaxSoftmaxSpec
    | EnergySpec
    | MahalanobisSpec
    | DeepMahalanobisSpec
    | NearestSpec
    | DeepNearestSpec
    | LocalIntrinsicDimensionSpec
    | FeatureSqueezingSpec
    | SqueezedOddsSpec
    | NoiseStabilitySpec
    | IsolationForestSpec
    | AdversarialAutoencoderSpec
    | ReconstructionSpec
    | OnnxScoreSpec
    | SklearnSpec
    | AlibiSpec
    | CustomSpec
)
AnyEvidenceSpec = Annotated[EvidenceSpec, Field(discriminator="kind")]
