"""Rows made from honest ones by attacks and by mild wear: what a combiner learns from, and a selection is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from detectors.base import View


@dataclass(frozen=True, slots=True)
class Examples:
    """All from *train* rows of the holdout, on which no detector was fitted.

    `honest` are those rows. `attacked` has, for each attack by name, rows that it made of some of them: on the input's
    grid, and misclassified as they are. `corrupted` are mildly worn ones that the model still gets right; they count as
    honest.
    """

    honest: View
    attacked: Mapping[str, View]
    corrupted: View | None = None
