"""A scikit-learn outlier detector or density, fitted at `calibrate` and kept as an ONNX graph: no pickle, and no
scikit-learn where requests are answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from detectors.base import Detector, DetectorSpec, Reference, Unsuitable, View
from detectors.laws import refuse_lawless
from detectors.onnx import MOST_SCORE
from detectors.scoregraph import ScoreGraph
from detectors.space import Reads, Space
from models.batch import Array, Arrays, InputSpec

MODULES = ("covariance", "ensemble", "linear_model", "mixture", "neighbors", "svm")


@dataclass(frozen=True, slots=True)
class SklearnScore:
    """Minus what the estimator says: in scikit-learn a high score is a normal one."""

    space: Space
    graph: ScoreGraph
    name: str = "sklearn"

    def score(self, view: View) -> Array:
        """(n,) float32; a row whose score is no number is as suspicious as can be."""
        found = self.graph(self.space.coordinates(view))
        np.negative(found, out=found)
        return np.nan_to_num(np.clip(found, -MOST_SCORE, MOST_SCORE, out=found), copy=False, nan=float(MOST_SCORE))


class SklearnSpec(DetectorSpec):
    """`estimator` is `sklearn.<module>.<Class>` with `parameters`, fitted on at most `keep` reference rows (a seeded
    draw) in the coordinates of `detectors.space`; `reads` says of what.
    """

    kind: Literal["sklearn"] = "sklearn"
    estimator: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    reads: Reads = "auto"
    keep: Annotated[int, Field(ge=10, le=1_000_000)] = 5000

    @field_validator("estimator")
    @classmethod
    def _allowed(cls, estimator: str) -> str:
        package, module, name = ([*estimator.split("."), "", ""])[:3]
        if package != "sklearn" or module not in MODULES or not name.isidentifier() or estimator.count(".") != 2:
            known = ", ".join(MODULES)
            raise ValueError(f"expected sklearn.<module>.<Class>, the module one of {known}; found {estimator!r}")
        return estimator

    def fit(self, reference: Reference) -> Arrays:
        """The space, and the fitted estimator as an ONNX graph.

        Raises:
            Unsuitable: scikit-learn or skl2onnx is not installed, it is no estimator of scores, can't be fitted or
                converted so, or the graph scores otherwise than scikit-learn does.
        """
        try:
            from detectors.sklearn_conversion import converted
        except ImportError as error:
            raise Unsuitable("kind sklearn needs scikit-learn and skl2onnx: install watchgate[sklearn]") from error
        space = Space.fit(reference, self.reads)
        z = space.coordinates(reference.view)
        rng = np.random.default_rng(reference.seed)
        rows = z[np.sort(rng.permutation(len(z))[: self.keep])]
        graph = converted(self.estimator, self.parameters, rows, reference.seed)
        arrays = {**space.to_arrays(), "graph": graph}
        refuse_lawless(self.estimator, self.build(arrays, reference.spec), reference)
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of this space and graph."""
        return SklearnScore(Space.from_arrays(arrays), ScoreGraph(arrays["graph"], None, self.estimator))

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What it is fitted on, and how large it is."""
        space = Space.from_arrays(arrays)
        what = "the model's penultimate features" if space.features else "the standardised input"
        return (f"sklearn: {self.estimator} on {what}, an ONNX graph of {arrays['graph'].nbytes / 1024:.0f} KiB",)
