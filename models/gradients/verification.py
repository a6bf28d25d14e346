"""Whether the module computes what onnxruntime computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from models.batch import Array, Arrays
from models.gradients.graph import read
from models.gradients.network import Network

# Two orders of summation of one float32 network differ by less, where its tensors are of order one (measured: 1e-6 to
# 3e-5 on CNNs, ResNets and transformers).
TOLERANCE = 1e-4


def verify(module: Network, model: onnx.ModelProto | Path, x: Array | Mapping[str, Array]) -> float:
    """The largest absolute difference between the module's tensors and onnxruntime's, over all of them.

    `x` are rows of the model's only input, or its inputs by name. A value that is infinite or not a number in one and
    not in the other makes the difference infinite. Quantized graphs may differ by one step of their scale.

    Raises:
        ValueError: the shapes differ.
    """
    found = read(model)
    arrays = _arrays(found, x)
    expected = reference(found, module.output_names, arrays)
    with torch.no_grad():
        ours = module.tensors({name: torch.from_numpy(np.array(arrays[name])) for name in module.input_names})
    return max(difference(ours[name].numpy(), expected[name]) for name in module.output_names)


def reference(model: onnx.ModelProto, names: tuple[str, ...], arrays: Arrays) -> dict[str, Array]:
    """Any named tensors of a graph as onnxruntime computes them."""
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    present = {value.name for value in model.graph.output}
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    session = onnxruntime.InferenceSession(wider.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), dict(arrays)), strict=True))


def difference(ours: Array, theirs: Array) -> float:
    """The largest absolute difference of two arrays of one shape; infinite where only one has a number.

    Raises:
        ValueError: the shapes differ.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes differ: {ours.shape} here, {theirs.shape} in onnxruntime")
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.inf)
    both = np.isfinite(a) & np.isfinite(b)
    apart[both] = np.abs(a[both] - b[both])
    return float(apart.max(initial=0.0))


def _arrays(model: onnx.ModelProto, x: Array | Mapping[str, Array]) -> Arrays:
    if isinstance(x, Mapping):
        return x
    stored = {tensor.name for tensor in model.graph.initializer}
    name = next(value.name for value in model.graph.input if value.name not in stored)
    return {name: x}
