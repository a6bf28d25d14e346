"""What a purifier is: a frozen spec that a config file names, and the function that it builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from models.batch import NO_ARRAYS, Array, Arrays, Bounds, InputSpec, Kind

# Called with what is going on, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, of: int) -> None:
    """No progress shown."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long training may take: `quick` is seconds instead of minutes, at some loss."""

    quick: bool = False
    progress: Progress = silent

    def steps(self, steps: int) -> int:
        """How many of so many steps are made."""
        return max(steps // QUICKER, min(steps, _FEWEST)) if self.quick else steps


THOROUGH = Effort()
QUICKER, _FEWEST = 5, 20


class Unsuitable(ValueError):
    """A purifier or detector that can't work on this model or input; the text says what it needs."""


@runtime_checkable
class Purifier(Protocol):
    """Maps rows to rows of the same shape, dtype and bounds, each by itself.

    `name` says method and parameters (`median-2`): equal names mean equal results, so passes are shared by name.
    """

    @property
    def name(self) -> str:
        """Method and parameters, `median-2`."""
        ...

    def apply(self, x: Array) -> Array:
        """The purified rows, (n, *row shape)."""
        ...


def bounds_of(spec: InputSpec, method: str) -> Bounds:
    """The input's bounds.

    Raises:
        Unsuitable: none are stated; `method` is who asks.
    """
    if spec.bounds is None:
        raise Unsuitable(f"{method} needs to know the range of the input: state `input.bounds` of the model")
    return spec.bounds


class PurifierSpec(BaseModel, ABC):
    """How a purifier is configured. Subclasses add `kind: Literal[...] = ...` and parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "table", "series"})

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """Learns from reference rows; most purifiers learn nothing."""
        return NO_ARRAYS

    def train(self, x: Array, spec: InputSpec, effort: Effort) -> Arrays:
        """As `fit`, for those whose fit takes long: with so much effort, telling how far it is."""
        return self.fit(x, spec)

    def refuse_unsuitable(self, spec: InputSpec) -> None:
        """Raises `Unsuitable` when the method was not made for this kind of input."""
        if spec.kind not in self.suits:
            raise Unsuitable(f"{self.kind} works on {' and '.join(sorted(self.suits))} inputs; this one is {spec.kind}")

    @abstractmethod
    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """The purifier for this kind of input.

        Raises:
            Unsuitable: the method can't work on this input.
        """
