"""An ONNX graph that gives rows a score: screened, run by onnxruntime on one thread, kept as bytes in an array.

onnx and onnxruntime are imported where they are used: a config that names no graph is read without them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from defenses.base import Unsuitable
from models.batch import Array
from models.errors import ModelError

_FLOATS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
_TYPES = {**_FLOATS, "tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(int64)": "int64"}


class ScoreGraph:
    """A loaded graph with one input and one score a row. Thread-safe, and on one thread."""

    def __init__(self, content: Array, output: str | None = None, name: str = "the graph") -> None:
        """`content` (bytes,) uint8 is an ONNX file; `output` names its scores where it has several outputs.

        Raises:
            Unsuitable: it is none, unsafe, or has not one input and one such output.
        """
        import onnxruntime as ort

        from models.onnx_screening import screened

        try:
            model = screened(content.tobytes(), name)
        except ModelError as error:
            raise Unsuitable(str(error).removeprefix("model: ")) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise Unsuitable(f"onnxruntime can't load {name}: {' '.join(str(error).split())}") from error
        given = _only(self._session.get_inputs(), None, "input", name)
        self._input: str = given.name
        self._output: str = _only(self._session.get_outputs(), output, "output", name).name
        if given.type not in _TYPES:
            raise Unsuitable(f"{name}: expected numbers as input {given.name!r}, found {given.type}")
        self._dtype = np.dtype(_TYPES[given.type])
        self._flat = len(given.shape) == 2

    def __call__(self, values: Array) -> Array:
        """(n,) float32 of n rows, finite or not.

        Raises:
            ValueError: the graph can't be run on them, or gives not one score a row.
        """
        n = len(values)
        if not n:
            return np.empty(0, dtype=np.float32)
        rows = values.reshape(n, -1) if self._flat else values
        try:
            found: Array = self._session.run([self._output], {self._input: rows.astype(self._dtype, copy=False)})[0]
        except Exception as error:
            raise ValueError(f"onnxruntime: {' '.join(str(error).split())}") from error
        if (
            not isinstance(found, np.ndarray)
            or found.size != n
            or found.shape[:1] != (n,)
            or found.dtype.kind not in "fiu"
        ):
            shape = getattr(found, "shape", type(found).__name__)
            raise ValueError(f"expected one score a row, ({n},) or ({n}, 1), found {shape}")
        with np.errstate(over="ignore"):
            return found.reshape(n).astype(np.float32)


def _only(nodes: list[Any], wanted: str | None, side: str, name: str) -> Any:
    if wanted is not None:
        nodes = [node for node in nodes if node.name == wanted] or nodes
        if len(nodes) == 1 and nodes[0].name == wanted:
            return nodes[0]
        raise Unsuitable(f"{name}: {side}: expected one of {', '.join(n.name for n in nodes)}, found {wanted!r}")
    if len(nodes) != 1:
        raise Unsuitable(f"{name}: expected one {side}, found {', '.join(node.name for node in nodes)}")
    return nodes[0]
