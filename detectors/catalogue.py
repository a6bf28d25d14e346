"""Every detector that a config file may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from detectors.combiner import CombinerSpec
from detectors.evidence import EvidenceSpec

AnyDetectorSpec = Annotated[EvidenceSpec | CombinerSpec, Field(discriminator="kind")]
