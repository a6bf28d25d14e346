"""Every detector that there is, as the catalogue has them: what is added there appears in the tables by itself."""

from __future__ import annotations

from typing import get_args

from pydantic import ValidationError

from detectors.base import DetectorSpec
from detectors.evidence import EvidenceSpec


def kinds() -> tuple[str, ...]:
    """The kinds that need nothing said: all but those that stand for other people's."""
    return tuple(spec.kind for spec in map(_plain, get_args(EvidenceSpec)) if spec is not None)


def _plain(detector: type[DetectorSpec]) -> DetectorSpec | None:
    try:
        return detector.model_validate({})
    except ValidationError:
        return None
