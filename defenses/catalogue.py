"""Every purifier that a config file may name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from defenses.bit_depth import BitDepthSpec
from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from defenses.gaussian import GaussianSpec
from defenses.jpeg import JpegSpec
from defenses.lattice import LatticeSpec
from defenses.low_pass import LowPassSpec
from defenses.median import MedianSpec
from defenses.nearest_neighbors_mean import NearestNeighborsMeanSpec
from defenses.non_local_means import NonLocalMeansSpec
from defenses.resample import ResampleSpec
from defenses.resize_and_pad import ResizeAndPadSpec
from defenses.total_variation import TotalVariationSpec
from defenses.winsorize import WinsorizeSpec

AnyPurifierSpec = Annotated[
    BitDepthSpec
    | MedianSpec
    | GaussianSpec
    | JpegSpec
    | TotalVariationSpec
    | NonLocalMeansSpec
    | ResizeAndPadSpec
    | DenoisingAutoencoderSpec
    | ResampleSpec
    | LowPassSpec
    | LatticeSpec
    | WinsorizeSpec
    | NearestNeighborsMeanSpec,
    Field(discriminator="kind"),
]
