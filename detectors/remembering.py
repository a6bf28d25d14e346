"""A reference that remembers what was learned from it, so that no piece of evidence is fitted twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.base import DetectorSpec, Reference
from models.batch import Arrays


@dataclass(frozen=True, slots=True)
class RememberingReference(Reference):
    """`known` is what detectors that look at the reference alone, not at `examples`, have learned from it."""

    known: dict[DetectorSpec, Arrays] = field(default_factory=dict)


def fitted(piece: DetectorSpec, reference: Reference) -> Arrays:
    """What a piece of evidence learns from the reference.

    Raises:
        Unsuitable: it can't work on this model or data.
    """
    known = reference.known if isinstance(reference, RememberingReference) else {}
    if piece not in known:
        piece.refuse_unsuitable(reference.spec, reference.view.outputs)
        known[piece] = piece.fit(reference)
    return known[piece]
