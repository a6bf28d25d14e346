"""A detector somebody else trained: any ONNX graph from the input, the features or the logits to one score a row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from detectors.base import DetectorSpec, Need, Reference, Unsuitable, View
from detectors.laws import refuse_lawless
from detectors.scoregraph import ScoreGraph
from models.backend import Outputs
from models.batch import Array, Arrays, InputSpec

MOST_SCORE = np.float32(1e9)
MOST_BYTES = 2**28
Looked = Literal["input", "features", "logits"]


@dataclass(frozen=True, slots=True)
class OnnxScore:
    """The graph's score, turned around where its high scores are the normal ones."""

    graph: ScoreGraph
    reads: Looked
    sign: float
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32; a row whose score is no number is as suspicious as can be."""
        found = self.graph(_values(view, self.reads))
        found *= np.float32(self.sign)
        return np.nan_to_num(np.clip(found, -MOST_SCORE, MOST_SCORE, out=found), copy=False, nan=float(MOST_SCORE))


class OnnxScoreSpec(DetectorSpec):
    """`path` is the graph's file; the bundle keeps a copy. `output` names its scores where there are several outputs.

    `reads` is what it is given, as it is: the guarded input, or the model's penultimate features or class logits.
    `higher` says what a high score means.
    """

    kind: Literal["onnx"] = "onnx"
    path: Path
    reads: Looked = "input"
    output: str | None = None
    higher: Literal["suspicious", "normal"] = "suspicious"

    def fit(self, reference: Reference) -> Arrays:
        """The graph's bytes; nothing is learned.

        Raises:
            Unsuitable: no such file, an unsafe one, or not a finite score a row that is a function of the row alone.
        """
        arrays = {"graph": np.frombuffer(self._content(), dtype=np.uint8)}
        detector = self.build(arrays, reference.spec)
        values = _values(reference.view, self.reads)
        try:
            found = detector.graph(values)
        except ValueError as error:
            raise Unsuitable(f"{self.path.name}: {error}") from error
        lost = np.count_nonzero(~np.isfinite(found))
        if lost:
            raise Unsuitable(f"{self.path.name}: {lost} of {len(found)} reference rows have no finite score")
        refuse_lawless(self.path.name, detector, reference)
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> OnnxScore:
        """The detector of these bytes."""
        graph = ScoreGraph(arrays["graph"], self.output, self.path.name)
        return OnnxScore(graph, self.reads, 1.0 if self.higher == "suspicious" else -1.0, self.kind)

    def needed(self) -> frozenset[Need]:
        """What the graph reads of the model."""
        return frozenset() if self.reads == "input" else frozenset({self.reads})

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What the graph is given."""
        return (f"onnx: {self.path.name} scores the {self.reads}; {self.higher} rows score high",)

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """Refuses a model without what the graph reads."""
        super().refuse_unsuitable(spec, outputs)
        if self.reads != "input" and getattr(outputs, self.reads) is None:
            raise Unsuitable(f"`reads: {self.reads}`: this model has none (outputs: {', '.join(outputs.tensors)})")

    def _content(self) -> bytes:
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise Unsuitable(f"{self.path}: expected at most {MOST_BYTES} bytes")
            return self.path.read_bytes()
        except OSError as error:
            raise Unsuitable(f"{self.path}: can't be read: {error.strerror or error}") from error


def _values(view: View, reads: Looked) -> Array:
    values = view.x if reads == "input" else getattr(view.outputs, reads)
    assert isinstance(values, np.ndarray), "fitted on a model that has them"
    return values
