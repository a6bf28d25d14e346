"""The protected model with the files that it was loaded from, so that gradients of it can be had where one asks."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from defenses.base import Unsuitable
from models.backend import ModelBackend
from models.batch import Batch
from models.errors import ModelError
from models.specs import ModelSpec

if TYPE_CHECKING:
    from attacks.network import Network

SAMPLE_ROWS = 16


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The model of a resolved `spec`, whose path is relative to `folder`, and the `backend` that answers for it."""

    spec: ModelSpec
    folder: Path | None
    backend: ModelBackend

    def network(self, batch: Batch) -> Network:
        """The model in torch, held against the backend on the first of these rows.

        Raises:
            Unsuitable: torch is not installed, or the model has no gradient.
        """
        if find_spec("torch") is None:
            raise Unsuitable("torch is not installed (`pip install 'watchgate[torch]'`)")
        from attacks.network import Network, NotDifferentiable

        try:
            network = Network.of(self.spec, self.folder)
            network.verify(batch.take(slice(0, SAMPLE_ROWS)), self.backend)
        except (NotDifferentiable, ModelError) as error:
            raise Unsuitable(" ".join(str(error).split())) from error
        return network
