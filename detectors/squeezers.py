"""Purifiers that a detector looks through: what they learn goes among its arrays."""

from __future__ import annotations

from collections.abc import Sequence

from defenses.base import Purifier, PurifierSpec
from defenses.median import MedianSpec
from detectors.base import Reference
from models.batch import Array, Arrays, InputSpec


def train_squeezers(squeezers: Sequence[PurifierSpec], reference: Reference) -> dict[str, Array]:
    """What they learn, by names that `build_squeezers` knows.

    Raises:
        Unsuitable: one can't work on this input.
    """
    arrays: dict[str, Array] = {}
    for index, squeezer in enumerate(squeezers):
        learned = squeezer.train(reference.view.x, reference.spec, reference.effort)
        arrays |= {f"{_prefix(index)}{name}": array for name, array in learned.items()}
    build_squeezers(squeezers, arrays, reference.spec)
    return arrays


def build_squeezers(squeezers: Sequence[PurifierSpec], arrays: Arrays, spec: InputSpec) -> tuple[Purifier, ...]:
    """The squeezers; of `arrays`, which may hold more, they take their own.

    Raises:
        Unsuitable: one can't work on this input.
    """
    return tuple(squeezer.build(spec, _own(arrays, _prefix(index))) for index, squeezer in enumerate(squeezers))


def median(spec: InputSpec) -> MedianSpec:
    """The smallest that removes a lone value: 2 x 2 pixels as in Xu, Evans, Qi (2018), three steps of a series."""
    return MedianSpec(size=2 if spec.kind == "image" else 3)


def _prefix(index: int) -> str:
    return f"squeezer{index}_"


def _own(arrays: Arrays, prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
