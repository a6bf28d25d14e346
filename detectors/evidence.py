"""Every detector that looks at a row by itself: what a combiner may combine."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from detectors.contract import ContractSpec
from detectors.custom import CustomSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.nearest import NearestSpec

EvidenceSpec: TypeAlias = (
    ContractSpec | InputStatisticsSpec | MahalanobisSpec | NearestSpec | EnergySpec | FeatureSqueezingSpec | CustomSpec
)
AnyEvidenceSpec = Annotated[EvidenceSpec, Field(discriminator="kind")]
