"""Keeps the slow part of a series: adversarial detail sits mostly in the high frequencies.

Hussain, Neekhara, Dubnov, McAuley, Koushanfar: WaveGuard: Understanding and Mitigating Audio Adversarial Examples
(USENIX Security 2021). The filter is a windowed sinc (Blackman, Tukey: The Measurement of Power Spectra, 1958).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec
from defenses.smoothing import Smoothing
from defenses.values import Values
from models.batch import NO_ARRAYS, Arrays, InputSpec, Kind


class LowPassSpec(PurifierSpec):
    """`keep` is the share of the band, from 0 up to half the sampling rate, that stays."""

    kind: Literal["low_pass"] = "low_pass"
    keep: Annotated[float, Field(ge=0.01, lt=1.0)] = 0.5
    suits: ClassVar[frozenset[Kind]] = frozenset({"series"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but series."""
        self.refuse_unsuitable(spec)
        reach = int(np.ceil(4.0 / self.keep))
        kernel = np.sinc(self.keep * np.arange(-reach, reach + 1)) * np.hamming(2 * reach + 1)
        return Smoothing(f"low_pass-{self.keep:g}", kernel / kernel.sum(), smooth_axes(spec), Values.plain(spec))
