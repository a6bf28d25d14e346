"""The evidence that is tried where nobody says which: all that costs no forward pass beyond the one that answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from detectors.class_statistics import ClassStatisticsSpec
from detectors.deep_mahalanobis import DeepMahalanobisSpec
from detectors.energy import EnergySpec
from detectors.evidence import EvidenceSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.nearest import NearestSpec
from models.batch import InputSpec, Kind
from models.layers import MOST_LAYERS

_LOOKS: Mapping[Kind, tuple[Literal["noise", "residuals", "values"], ...]] = {
    "image": ("noise", "residuals", "values"),
    "series": ("noise", "residuals", "values"),
}
_TABLE_LOOKS: tuple[Literal["values", "pairs", "residuals"], ...] = ("values", "pairs", "residuals")


def free(spec: InputSpec) -> tuple[EvidenceSpec, ...]:
    """Each look and each layer by itself; what the model or the data lack is left out by who tries them."""
    looks = _LOOKS.get(spec.kind, ())
    table = _TABLE_LOOKS if spec.kind == "table" else ()
    return (
        *(InputStatisticsSpec(look=look) for look in (*looks, *table)),
        *(ClassStatisticsSpec(look=look) for look in looks),
        *(DeepMahalanobisSpec(layer=layer) for layer in range(MOST_LAYERS)),
        MahalanobisSpec(),
        NearestSpec(),
        MarginSpec(),
        EnergySpec(),
    )


def title(piece: EvidenceSpec) -> str:
    """Its kind, and which look or layer it is of."""
    look, layer = getattr(piece, "look", "all"), getattr(piece, "layer", "all")
    kind = piece.kind if look == "all" else f"{piece.kind}-{look}"
    return kind if layer == "all" else f"{kind}[{layer}]"
