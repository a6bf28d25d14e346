from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from models.batch import Array
from models.gradients import differentiable, verify

Check = Callable[..., None]


def one_node(
    kind: str,
    inputs: Sequence[Array | None],
    fixed: Sequence[int] = (),
    *,
    opset: int = 21,
    domain: str = "",
    outputs: int = 1,
    **attributes: Any,
) -> onnx.ModelProto:
    """A graph of one node: `inputs` in order (None left out), those at `fixed` positions stored in the model."""
    names = [f"i{i}" if array is not None else "" for i, array in enumerate(inputs)]
    named = [(i, f"i{i}", array) for i, array in enumerate(inputs) if array is not None]
    made = [f"o{i}" for i in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(kind, names, made, domain=domain, **attributes)],
        kind,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for i, name, array in named
            if i not in fixed
        ],
        [onnx.ValueInfoProto(name=name) for name in made],
        [numpy_helper.from_array(array, name) for i, name, array in named if i in fixed],
    )
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 3)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def agree(
    kind: str,
    inputs: Sequence[Array | None],
    fixed: Sequence[int] = (),
    *,
    tolerance: float = 1e-5,
    gradient: bool = False,
    outputs: int = 1,
    **rest: Any,
) -> None:
    """The node gives what onnxruntime gives, its fixed inputs stored or fed; its gradient that of differences."""
    made = [f"o{i}" for i in range(outputs)]
    for stored in {tuple(fixed), ()}:
        model = one_node(kind, inputs, stored, outputs=outputs, **rest)
        rows = {f"i{i}": a for i, a in enumerate(inputs) if a is not None and i not in stored}
        module = differentiable(model, made)
        assert verify(module, model, rows) <= tolerance
    if gradient:
        _check_gradient(one_node(kind, inputs, range(1, len(inputs)), outputs=outputs, **rest), inputs[0])


def _check_gradient(model: onnx.ModelProto, x: Array | None) -> None:
    wide = differentiable(model, "o0").double()
    assert x is not None
    assert torch.autograd.gradcheck(wide, torch.tensor(x, dtype=torch.float64, requires_grad=True), fast_mode=True)


@pytest.fixture
def check() -> Check:
    return agree


@pytest.fixture
def node() -> Callable[..., onnx.ModelProto]:
    return one_node


@pytest.fixture
def normal() -> Callable[..., Array]:
    """Normal float32 values of a shape, the same at every call of a test."""
    random = np.random.default_rng(0)
    return lambda *shape: random.standard_normal(shape).astype(np.float32)
