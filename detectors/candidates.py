"""The evidence that is tried where nobody says which: all that costs no further forward pass; all, by a selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from pydantic import ValidationError

from defenses.base import PurifierSpec
from defenses.bit_depth import BitDepthSpec
from defenses.catalogue import AnyPurifierSpec
from defenses.gaussian import GaussianSpec
from defenses.jpeg import JpegSpec
from defenses.median import MedianSpec
from detectors.base import DetectorSpec, Unsuitable
from detectors.class_statistics import ClassStatisticsSpec
from detectors.contract import ContractSpec
from detectors.custom import CustomSpec
from detectors.deep_mahalanobis import DeepMahalanobisSpec
from detectors.energy import EnergySpec
from detectors.evidence import EvidenceSpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.nearest import NearestSpec
from detectors.squeezed_odds import SqueezedOddsSpec
from models.batch import InputSpec, Kind
from models.layers import MOST_LAYERS

_LOOKS: Mapping[Kind, tuple[Literal["noise", "residuals", "values"], ...]] = {
    "image": ("noise", "residuals", "values"),
    "series": ("noise", "residuals", "values"),
}
_TABLE_LOOKS: tuple[Literal["values", "pairs", "residuals"], ...] = ("values", "pairs", "residuals")
# Each by itself: the largest distance over several is often a worse look than the best of them.
_SQUEEZERS: Mapping[Kind, tuple[AnyPurifierSpec, ...]] = {
    "image": (BitDepthSpec(bits=2), BitDepthSpec(bits=4), MedianSpec(size=2), MedianSpec(size=3), JpegSpec()),
    "series": (BitDepthSpec(bits=4), MedianSpec(size=3), GaussianSpec()),
}
_ODDS_SQUEEZERS: Mapping[Kind, tuple[AnyPurifierSpec, ...]] = {
    "image": (BitDepthSpec(bits=1), BitDepthSpec(bits=3), MedianSpec(size=2), GaussianSpec(sigma=0.6), JpegSpec()),
    "series": (BitDepthSpec(bits=4), MedianSpec(size=3), GaussianSpec()),
}


def free(spec: InputSpec) -> tuple[EvidenceSpec, ...]:
    """Each look and each layer by itself; what the model or the data lack is left out by who tries them."""
    looks = _LOOKS.get(spec.kind, ())
    table = _TABLE_LOOKS if spec.kind == "table" else ()
    return (
        *(InputStatisticsSpec(look=look) for look in (*looks, *table)),
        *(InputStatisticsSpec(look=look, worn=True) for look in looks),
        *(ClassStatisticsSpec(look=look) for look in looks),
        *(DeepMahalanobisSpec(layer=layer) for layer in range(MOST_LAYERS)),
        MahalanobisSpec(),
        NearestSpec(),
        MarginSpec(),
        EnergySpec(),
    )


def everything(spec: InputSpec) -> tuple[EvidenceSpec, ...]:
    """`free`, squeezing by one purifier at a time, and every other kind of evidence as it comes.

    A detector that joins `detectors.evidence` and has a default for each of its keys is among them by itself.
    """
    listed = (
        *free(spec),
        *(FeatureSqueezingSpec(squeezers=(s,)) for s in _SQUEEZERS.get(spec.kind, ())),
        *(SqueezedOddsSpec(squeezers=(s,)) for s in _ODDS_SQUEEZERS.get(spec.kind, ())),
    )
    known = {ContractSpec, CustomSpec, *(type(piece) for piece in listed)}
    kinds = [kind for kind in get_args(EvidenceSpec) if kind not in known and spec.kind in kind.suits]
    return (*listed, *(piece for kind in kinds if (piece := _as_it_comes(kind)) is not None))


def _as_it_comes(kind: type[DetectorSpec]) -> EvidenceSpec | None:
    """With every key left out; None where that can't be, or would run code that is not ours."""
    try:
        piece = kind()  # type: ignore[call-arg]
        return None if piece.code() else cast(EvidenceSpec, piece)
    except (ValidationError, Unsuitable):
        return None


def title(piece: EvidenceSpec) -> str:
    """Its kind, and which look, layer or squeezer it is of."""
    if isinstance(piece, FeatureSqueezingSpec | SqueezedOddsSpec) and piece.squeezers is not None:
        return f"{piece.kind}[{', '.join(squeezer.kind + _strength(squeezer) for squeezer in piece.squeezers)}]"
    look, layer = getattr(piece, "look", "all"), getattr(piece, "layer", "all")
    kind = (piece.kind if look == "all" else f"{piece.kind}-{look}") + "-worn" * getattr(piece, "worn", False)
    return kind if layer == "all" else f"{kind}[{layer}]"


def _strength(squeezer: PurifierSpec) -> str:
    """The first of its numbers, that tells it from others of its kind."""
    numbers = [value for key, value in squeezer.model_dump().items() if key != "kind"]
    return f" {numbers[0]:g}" if numbers and isinstance(numbers[0], int | float) else ""
