"""Every detector that a config file may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from detectors.contract import ContractSpec
from detectors.custom import CustomSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.nearest import NearestSpec

AnyDetectorSpec = Annotated[
    ContractSpec | InputStatisticsSpec | MahalanobisSpec | NearestSpec | EnergySpec | FeatureSqueezingSpec | CustomSpec,
    Field(discriminator="kind"),
]
