"""Rows made from honest ones by attacks and by mild wear: what a combiner learns from, and a selection is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.base import View


@dataclass(frozen=True, slots=True)
class Examples:
    """All from *train* rows of the holdout, on which no detector was fitted.

    `honest` are those rows. `attacked` has, for each attack by name, rows that it made of some of them: on the input's
    grid, and misclassified as they are. `worn` has, for each kind of mild wear, rows that kept their class; they count
    as honest.
    """

    honest: View
    attacked: Mapping[str, View]
    worn: Mapping[str, View] = field(default_factory=dict)
