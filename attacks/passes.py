"""Rows and their forward passes in torch: what twins of detectors look at, as detectors look at a `View`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from attacks.network import Network, TorchOutputs
from models.batch import NO_ARRAYS, Arrays


class Passes:
    """Rows `x` (n, *row shape) as the model takes them, and its answers, each computed once and only if asked for."""

    def __init__(self, x: Tensor, network: Network, extras: Arrays = NO_ARRAYS) -> None:
        self.x = x
        self.network = network
        self._extras = extras
        self._outputs: TorchOutputs | None = None
        self._known: dict[str, TorchOutputs] = {}
        self._shared: dict[str, Tensor] = {}

    @property
    def outputs(self) -> TorchOutputs:
        """The answer to the rows as they are."""
        if self._outputs is None:
            self._outputs = self.network.outputs(self.x, self._extras)
        return self._outputs

    def through(self, name: str, change: Callable[[Tensor], Tensor]) -> TorchOutputs:
        """The answer to changed rows; equal names are equal changes."""
        if name not in self._known:
            self._known[name] = self.network.outputs(change(self.x), self._extras)
        return self._known[name]

    def once(self, key: str, compute: Callable[[], Tensor]) -> Tensor:
        """What several twins need, computed by the first."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]
