"""Parts of parts as one flat mapping of arrays, as an `.npz` file holds them."""

from __future__ import annotations

from collections.abc import Mapping

from models.batch import Array, Arrays


def prefixed(parts: Mapping[str, Arrays]) -> dict[str, Array]:
    """Every part's arrays, as `part.name`."""
    return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def under(part: str, arrays: Arrays) -> dict[str, Array]:
    """The part's own arrays; none if it was not there."""
    start = f"{part}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
