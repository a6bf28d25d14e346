"""Intermediate layers of a model: which ones are looked at, and their pooled values.

A layer is what a convolution or a matrix product with constant weights reads: blocks of a network end there, whatever
they are made of. Its values are pooled over space in the graph itself, so that little data leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from models.batch import Array, Arrays

__all__ = ["LAYERS", "MOST_LAYERS", "Layer", "Pooled", "Space", "spread_out"]

LAYERS = "watchgate_layers"  # the output that holds all of them
MOST_LAYERS = 5
Space = Literal["after", "before", "none"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layer:
    """`space` tells where the axes of space are: after the channels (n, c, ...), before them (n, t, c), or nowhere."""

    name: str
    width: int  # channels
    space: Space


def spread_out(candidates: Sequence[T], most: int = MOST_LAYERS) -> list[T]:
    """At most so many of them, evenly from the first to the last."""
    if len(candidates) <= most:
        return list(candidates)
    return [candidates[round(i)] for i in np.linspace(0, len(candidates) - 1, most)]


class Pooled:
    """Takes apart what a graph answers in `LAYERS`: (n, ...) with the means of all layers that have space side by side,
    then the means of their squares, then the values of the others.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        spaced = [layer for layer in layers if layer.space != "none"]
        self._means = sum(layer.width for layer in spaced)
        starts = dict(zip(spaced, np.cumsum([0, *(layer.width for layer in spaced)]), strict=False))
        order, parts, end = [], [], 2 * self._means
        for layer in layers:
            columns = np.arange(layer.width)
            if layer.space == "none":
                order.append(end + columns)
                end += layer.width
            else:
                order += [starts[layer] + columns, starts[layer] + self._means + columns]
            parts.append((layer.name, sum(map(len, order))))
        self._order = np.concatenate(order)
        self._slices = {
            name: slice(start, stop)
            for (name, stop), start in zip(parts, [0, *(stop for _, stop in parts)], strict=False)
        }

    def __call__(self, values: Array) -> Arrays:
        """By layer: mean and spread over space, (n, 2 channels) float32; where there is no space, its values."""
        full = values.astype(np.float32)
        mean, square = full[:, : self._means], full[:, self._means : 2 * self._means]
        square -= mean * mean
        np.maximum(square, np.float32(0.0), out=square)
        np.sqrt(square, out=square)
        ordered = full.take(self._order, axis=1)
        return {name: ordered[:, part] for name, part in self._slices.items()}
