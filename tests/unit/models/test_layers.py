"""Intermediate layers: found in the graph, pooled in the same run, the same from ONNX and PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.backend import Outputs
from models.batch import Array, Arrays, Batch
from models.errors import ModelError
from models.layers import spread_out
from models.specs import ModelSpec, OnnxSpec, PytorchSpec, load_model, resolve

RNG = np.random.default_rng(0)
WEIGHTS = {
    "c1": RNG.normal(size=(4, 3, 3, 3)) / 4,
    "c2": RNG.normal(size=(6, 4, 3, 3)) / 4,
    "d1": RNG.normal(size=(6 * 9, 7)) / 4,
    "d2": RNG.normal(size=(7, 3)),
}
X = RNG.random((5, 3, 10, 10)).astype(np.float32)


class Network(nn.Module):
    """Convolution, rectifier and pool, twice; a hidden layer; classes."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.d1, self.d2 = (
            nn.Parameter(torch.tensor(WEIGHTS[name].astype(np.float32))) for name in ("c1", "c2", "d1", "d2")
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.steps(x)[-1]

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = nn.functional.max_pool2d(torch.relu(nn.functional.conv2d(x, self.c1)), 2)
        second = torch.nn.functional.pad(torch.relu(nn.functional.conv2d(first, self.c2)), [0, 1, 0, 1])
        hidden = torch.relu(second.flatten(1) @ self.d1)
        return first, second, hidden, hidden @ self.d2


def expected(x: Array) -> list[Array]:
    with torch.no_grad():
        *steps, _ = Network().steps(torch.tensor(x))
    found = [step.numpy() for step in steps]
    return [step if step.ndim == 2 else np.concatenate([step.mean((2, 3)), step.std((2, 3))], axis=1) for step in found]


def as_onnx(folder: Path, kind: int = TensorProto.FLOAT) -> OnnxSpec:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        helper.make_node("Conv", ["x", "c1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["first"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["first", "c2"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Pad", ["d", "pads"], ["second"]),
        helper.make_node("Flatten", ["second"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d1"], ["e"]),
        helper.make_node("Relu", ["e"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "d2"], ["logits"]),
    ]
    constants = {name: array.astype(dtype) for name, array in WEIGHTS.items()}
    constants["pads"] = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    return saved(folder, nodes, constants, ("x", kind, ["n", 3, 10, 10]), ("logits", kind, ["n", 3]))


def saved(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: Arrays,
    given: tuple[str, int, list[int | str]],
    made: tuple[str, int, list[int | str]],
) -> OnnxSpec:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info(*made)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return OnnxSpec(path=path, layers="auto")


def as_torch(folder: Path) -> PytorchSpec:
    rows = {0: torch.export.Dim.DYNAMIC}
    path = folder / "model.pt2"
    torch.export.save(torch.export.export(Network().eval(), (torch.tensor(X),), dynamic_shapes=(rows,)), path)
    return PytorchSpec(path=path, layers="auto")


@pytest.mark.parametrize("make", [as_onnx, as_torch])
def test_layers_are_found_and_pooled(make: object, tmp_path: Path) -> None:
    spec: ModelSpec = make(tmp_path)  # type: ignore[operator]
    resolved = resolve(spec, X)
    assert resolved.is_resolved
    again = type(spec).model_validate_json(resolved.model_dump_json())
    layers = load_model(again).predict(Batch(X)).layers
    assert tuple(layers) == resolved.layers
    for found, wanted in zip(layers.values(), expected(X), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_none_are_looked_for_unless_asked(tmp_path: Path) -> None:
    spec = as_onnx(tmp_path).model_copy(update={"layers": "none"})
    resolved = resolve(spec, X)
    assert resolved.layers == "none"
    assert dict(load_model(resolved).predict(Batch(X)).layers) == {}


def test_named_layers(tmp_path: Path) -> None:
    spec = as_onnx(tmp_path).model_copy(update={"layers": ("hidden", "first")})
    layers = load_model(resolve(spec, X)).predict(Batch(X)).layers
    wanted = expected(X)
    np.testing.assert_allclose(layers["hidden"], wanted[2], atol=2e-5)
    np.testing.assert_allclose(layers["first"], wanted[0], atol=2e-5)


@pytest.mark.parametrize("make", [as_onnx, as_torch])
def test_unknown_layers_are_told(make: object, tmp_path: Path) -> None:
    spec: ModelSpec = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelError, match="layers: expected the name of a tensor in the graph, found 'thrid'"):
        resolve(spec.model_copy(update={"layers": ("thrid",)}), X)


def test_half_floats_are_pooled_as_single_ones(tmp_path: Path) -> None:
    x = X.astype(np.float16)
    layers = load_model(resolve(as_onnx(tmp_path, TensorProto.FLOAT16), x)).predict(Batch(x)).layers
    for found, wanted in zip(layers.values(), expected(X), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_channels_last(tmp_path: Path) -> None:
    """As transformers have them: positions before channels."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w2"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("ReduceMean", ["d"], ["e"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["e", "w3"], ["logits"]),
    ]
    w = {f"w{i + 1}": RNG.normal(size=(4, 4)).astype(np.float32) for i in range(3)}
    spec = saved(tmp_path, nodes, w, ("x", TensorProto.FLOAT, ["n", 6, 4]), ("logits", TensorProto.FLOAT, ["n", 4]))
    x = RNG.normal(size=(3, 6, 4)).astype(np.float32)
    given = spec.input.model_copy(update={"kind": "series"})
    resolved = resolve(spec.model_copy(update={"input": given}), x)
    assert resolved.layers == ("b", "e")
    layers = load_model(resolved).predict(Batch(x)).layers
    hidden = np.maximum(x @ w["w1"], 0)
    np.testing.assert_allclose(layers["b"], np.concatenate([hidden.mean(1), hidden.std(1)], axis=1), atol=1e-5)
    np.testing.assert_allclose(layers["e"], np.maximum(hidden @ w["w2"], 0).mean(1), atol=1e-5)


def test_a_linear_model_has_none(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    w = {"w": RNG.normal(size=(4, 3)).astype(np.float32)}
    spec = saved(tmp_path, nodes, w, ("x", TensorProto.FLOAT, ["n", 4]), ("logits", TensorProto.FLOAT, ["n", 3]))
    assert resolve(spec, X[:, 0, 0, :4]).layers == "none"


def test_many_layers_are_spread_over_the_depth() -> None:
    assert spread_out(list(range(17))) == [0, 4, 8, 12, 16]
    assert spread_out(["a", "b"]) == ["a", "b"]


def test_outputs_carry_layers_along() -> None:
    outputs = Outputs({"y": np.arange(4.0)}, layers={"a": np.arange(8.0).reshape(4, 2)})
    part = outputs.take(np.array([3, 1]))
    assert part.layers["a"].tolist() == [[6.0, 7.0], [2.0, 3.0]]
    assert outputs.patched(np.array([0, 2]), part).layers["a"][:, 0].tolist() == [6.0, 2.0, 2.0, 6.0]
    assert part.spread(np.array([False, True, True])).layers["a"].tolist() == [[0, 0], [6, 7], [2, 3]]
    assert len(Outputs.concat([outputs, part]).layers["a"]) == 6
