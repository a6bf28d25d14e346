"""Every purifier that a config file may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from defenses.bit_depth import BitDepthSpec
from defenses.jpeg import JpegSpec
from defenses.median import MedianSpec

AnyPurifierSpec = Annotated[BitDepthSpec | MedianSpec | JpegSpec, Field(discriminator="kind")]
