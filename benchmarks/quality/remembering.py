"""A model that answers the same rows once: many chains are shown the same ones."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from models.backend import ModelBackend, Outputs, TensorSpec
from models.batch import Arrays, Batch, InputSpec

MOST_ROWS = 200_000


class Remembering:
    """A backend around another. Keeps the answers to the last `most` rows, by batches."""

    def __init__(self, backend: ModelBackend, most: int = MOST_ROWS) -> None:
        self.backend = backend
        self.most = most
        self.known: OrderedDict[bytes, Outputs] = OrderedDict()
        self.rows: dict[bytes, int] = {}

    @property
    def spec(self) -> InputSpec:
        """The model's."""
        return self.backend.spec

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's."""
        return self.backend.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's."""
        return self.backend.outputs

    def join(self, tensors: Arrays) -> Batch:
        """As the model does."""
        return self.backend.join(tensors)

    def predict(self, batch: Batch) -> Outputs:
        """One forward pass, or what an earlier one gave."""
        key = hashlib.blake2b(np.ascontiguousarray(batch.x).tobytes(), digest_size=16).digest()
        if key not in self.known:
            self.known[key] = self.backend.predict(batch)
            self.rows[key] = len(batch)
        self.known.move_to_end(key)
        while sum(self.rows.values()) > self.most and len(self.known) > 1:
            old, _ = self.known.popitem(last=False)
            del self.rows[old]
        return self.known[key]
