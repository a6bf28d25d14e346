"""The layer before the logits, in any graph whose nodes can be told apart by role."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Literal, TypeVar

# `layer` has weights; `through` only hands on, rescales or reshapes; `start` is an input; `stop` is all else.
Role = Literal["layer", "through", "start", "stop"]
T = TypeVar("T", bound=Hashable)


def penultimate(logits: T, role: Callable[[T], Role], sources: Callable[[T], Sequence[T]]) -> T | None:
    """The value that the last layer reads on the way to `logits`; None for trees and linear models.

    `role` says what made a value, `sources` the values (constants left out) that it was made from.
    """
    found = _last_layers(logits, role, sources, set())
    layers = list(found)
    layer = layers[0] if len(layers) == 1 else None
    if layer is None:
        return None
    read = sources(layer)
    if len(read) != 1 or is_only_scaled(read[0], role, sources):
        return None
    return read[0]


def _last_layers(
    value: T, role: Callable[[T], Role], sources: Callable[[T], Sequence[T]], seen: set[T]
) -> Iterator[T | None]:
    """The layers that a value comes from, each once; None where it comes from something else as well."""
    if value in seen:
        return
    seen.add(value)
    if role(value) == "layer":
        yield value
    elif role(value) == "through":
        for source in sources(value):
            yield from _last_layers(source, role, sources, seen)
    else:
        yield None


def is_only_scaled(value: T, role: Callable[[T], Role], sources: Callable[[T], Sequence[T]]) -> bool:
    """Whether nothing but scaling lies between the inputs and a value: the model is then linear."""
    if role(value) != "through":
        return role(value) == "start"
    return all(is_only_scaled(source, role, sources) for source in sources(value))
