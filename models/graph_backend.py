"""What ONNX and PyTorch models share: rows in, one forward pass, outputs with logits and features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from models.backend import Outputs, TensorSpec
from models.batch import NO_ARRAYS, Array, Arrays, Batch
from models.chunks import in_chunks
from models.guard import Guard
from models.layers import LAYERS, Layer, Pooled
from models.readout import to_features, to_logits
from models.rows import input_spec
from models.specs import ModelSpec

__all__ = ["GraphBackend"]


class GraphBackend(ABC):
    """A model read from a graph file, by a resolved spec. Nothing changes after loading.

    `hidden` names the tensors that the graph answers with after `outputs` (those among them left out), which callers
    never see. `layers` are those that the hidden tensor `LAYERS` holds.
    """

    def __init__(
        self,
        spec: ModelSpec,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        hidden: Sequence[str],
        features: str | None,
        layers: Sequence[Layer],
        batch_rows: int | None,
    ) -> None:
        self._guard = Guard.of(inputs, spec.guard)
        self.spec = input_spec(spec.input, self._guard)
        self.inputs = self._guard.concrete(inputs, self.spec.shape)
        self.outputs = tuple(outputs)
        self._single = self._guard.single if len(inputs) == 1 else None
        self._names = [tensor.name for tensor in outputs]
        self._all_names = list(dict.fromkeys([*self._names, *hidden]))
        self._kind = spec.outputs.kind or "none"
        # Positions, not names: one row through a tiny model takes ten microseconds, and a lookup is felt.
        self._logits = None if spec.outputs.logits is None else self._all_names.index(spec.outputs.logits)
        self._features = None if features is None else self._all_names.index(features)
        self._layers = self._all_names.index(LAYERS) if layers else -1
        self._pooled = Pooled(layers) if layers else None
        self._batch_rows = batch_rows

    @abstractmethod
    def _forward(self, feeds: Mapping[str, Array]) -> list[Array]:
        """One run: the outputs and the hidden tensors, in order. Thread-safe.

        Raises:
            ModelError: the runtime refused the rows.
        """

    def join(self, tensors: Arrays) -> Batch:
        """The batch of these named input tensors.

        Raises:
            ModelError: an input is missing, or the inputs disagree on the number of rows.
        """
        return self._guard.join(tensors)

    def predict(self, batch: Batch) -> Outputs:
        """One forward pass; several where the graph fixes the number of rows.

        Raises:
            ModelError: the runtime refused the rows; the text is its own.
        """
        feeds = {self._single: batch.x} if self._single is not None else self._guard.split(batch)
        if self._batch_rows is None:
            arrays = self._forward(feeds)
        else:
            arrays = in_chunks(self._forward, feeds, len(batch), self._batch_rows)
        return Outputs(
            dict(zip(self._names, arrays, strict=False)),  # hidden tensors come after them
            None if self._logits is None else to_logits(arrays[self._logits], self._kind),
            None if self._features is None else to_features(arrays[self._features]),
            NO_ARRAYS if self._pooled is None else self._pooled(arrays[self._layers]),
        )
