"""The module itself: which tensors, which inputs, what is refused, what it costs in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import models.gradients
from models.batch import Array
from models.gradients import OPERATORS, UnsupportedGraph, differentiable, operator_list, unsupported, verify

Node = Callable[..., onnx.ModelProto]
FLOAT = TensorProto.FLOAT


def model_of(
    nodes: list[onnx.NodeProto],
    *,
    outputs: tuple[str, ...] = ("logits",),
    stored: dict[str, Array] | None = None,
    opset: int = 21,
    inputs: dict[str, list[int | str]] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in (inputs or {"x": ["n", 4]}).items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (stored or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.fixture
def two_layers() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    stored = {"w": random.standard_normal((4, 8)), "v": random.standard_normal((8, 3))}
    return model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["features/0"]),
            helper.make_node("MatMul", ["features/0", "v"], ["logits"]),
            helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
        ],
        stored={name: array.astype(np.float32) for name, array in stored.items()},
        outputs=("logits",),
    )


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def test_one_tensor_or_several_of_any_name(two_layers: onnx.ModelProto, x: torch.Tensor) -> None:
    assert differentiable(two_layers)(x).shape == (5, 3)
    assert differentiable(two_layers, "hidden")(x).shape == (5, 8)
    module = differentiable(two_layers, ["logits", "features/0", "x", "w"])
    found = module(x)
    assert list(found) == ["logits", "features/0", "x", "w"]
    assert found["x"] is x
    assert verify(module, two_layers, x.numpy()) <= 1e-5


def test_gradients_reach_the_rows_through_several_tensors_at_once(two_layers: onnx.ModelProto, x: torch.Tensor) -> None:
    module = differentiable(two_layers, ["logits", "features/0"])

    def loss(rows: torch.Tensor) -> torch.Tensor:
        found = module(rows)
        total: torch.Tensor = found["logits"].square().sum() + found["features/0"].sum()
        return total

    module.double()
    assert torch.autograd.gradcheck(loss, x.double().requires_grad_())


def test_weights_are_frozen_and_follow_the_module(two_layers: onnx.ModelProto, x: torch.Tensor) -> None:
    module = differentiable(two_layers)
    assert not list(module.parameters())
    assert [tuple(buffer.shape) for buffer in module.buffers()] == [(4, 8), (8, 3)]
    assert {buffer.dtype for buffer in module.buffers()} == {torch.float32}
    assert not any(buffer.requires_grad for buffer in module.buffers())
    twin = copy.deepcopy(module).double()
    assert twin(x.double()).dtype == torch.float64
    torch.testing.assert_close(twin(x.double()).float(), module(x))


def test_only_what_is_asked_for_is_computed(two_layers: onnx.ModelProto) -> None:
    two_layers.graph.node.append(helper.make_node("StringNormalizer", ["label"], ["text"]))
    assert unsupported(two_layers) == []
    assert unsupported(two_layers, "text") == ["StringNormalizer (ai.onnx 21)"]
    assert len(list(differentiable(two_layers, "hidden").buffers())) == 1


def test_everything_unknown_is_named_in_one_message() -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"]),
        helper.make_node("Det", ["a"], ["b"]),
        helper.make_node("MyOwn", ["b"], ["c"], domain="com.example"),
        helper.make_node("Resize", ["c", "", "s"], ["d"], antialias=1, mode="linear"),
        helper.make_node("MaxPool", ["d"], ["e", "where"], kernel_shape=[2]),
        helper.make_node("Add", ["e", "where"], ["f"]),
        helper.make_node(
            "GRU", ["f", "w", "w", "w", "lengths"], ["logits"], hidden_size=3, activations=["Relu", "Tanh"]
        ),
    ]
    model = model_of(nodes, stored={"s": np.ones(2, np.float32), "w": np.ones(2, np.float32)})
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [1]))
    model.opset_import.append(helper.make_opsetid("com.example", 2))
    expected = [
        "Det (ai.onnx 21)",
        "MyOwn (com.example 2)",
        "Resize with antialias=1 (ai.onnx 21)",
        "MaxPool with output 2 (ai.onnx 21)",
        "GRU with activations=['Relu', 'Tanh'] (ai.onnx 21)",
        "GRU with no linear_before_reset (ai.onnx 21)",
        "GRU with input 5 (ai.onnx 21)",
    ]
    assert unsupported(model) == expected
    with pytest.raises(UnsupportedGraph) as caught:
        differentiable(model)
    assert caught.value.reasons == tuple(expected)
    assert str(caught.value) == (
        f"Unsupported: operators {', '.join(expected)}; "
        "gradients need a graph of the operators in models.gradients.OPERATORS"
    )


@pytest.mark.parametrize("opset", [12, 24])
def test_other_opsets_are_refused(opset: int) -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["logits"])], opset=opset)
    assert unsupported(model) == [f"opset {opset} (known are 13 to 23)"]


def test_training_mode_is_refused(node: Node, normal: Callable[..., Array]) -> None:
    model = node("BatchNormalization", [normal(4, 3), *(normal(3) for _ in range(4))], training_mode=1)
    assert unsupported(model, "o0") == ["BatchNormalization with training_mode=1 (ai.onnx 21)"]
    model = node("BatchNormalization", [normal(4, 3), *(normal(3) for _ in range(4))], training_mode=0)
    assert unsupported(model, "o0") == []


def test_constants_of_types_that_torch_lacks_are_refused() -> None:
    model = model_of([helper.make_node("Add", ["x", "s"], ["logits"])])
    model.graph.initializer.append(numpy_helper.from_array(np.array(["a"], object), "s"))
    assert unsupported(model) == ["initializer 's' of type STRING"]


def test_a_tensor_that_is_not_there_is_named(two_layers: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="no tensor 'nothing', 'none'; its outputs are 'logits'"):
        differentiable(two_layers, ["nothing", "none", "logits"])


def test_a_model_without_floating_outputs_needs_a_name(two_layers: onnx.ModelProto) -> None:
    del two_layers.graph.output[:]
    two_layers.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]))
    with pytest.raises(ValueError, match="no output of floating numbers"):
        differentiable(two_layers)
    assert differentiable(two_layers, "logits")(torch.zeros(2, 4)).tolist() == [[0.0] * 3] * 2


def test_inputs_by_order_and_by_name() -> None:
    nodes = [helper.make_node("Sub", ["x", "y"], ["d"]), helper.make_node("Mul", ["d", "one"], ["logits"])]
    model = model_of(nodes, inputs={"one": [1], "x": ["n"], "y": ["n"]})
    module = differentiable(model)
    one, x, y = torch.tensor([2.0]), torch.tensor([5.0]), torch.tensor([3.0])
    assert module(one, x, y) == module(one, y=y, x=x) == module(x=x, y=y, one=one) == 4.0
    part = differentiable(model, "d")
    assert part.input_names == ("x", "y")
    assert part(x=x, y=y) == 2.0
    with pytest.raises(TypeError, match="missing input y"):
        module(one, x)
    for wrong in ({"z": y}, {"d": y}):
        with pytest.raises(TypeError, match="inputs are one, x, y"):
            module(one, x, y, **wrong)
    with pytest.raises(TypeError, match="inputs are one, x, y"):
        module(one, x, y, y)


def test_weights_that_older_files_list_as_inputs_are_none(two_layers: onnx.ModelProto, x: torch.Tensor) -> None:
    two_layers.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [4, 8]))
    assert differentiable(two_layers).input_names == ("x",)
    assert differentiable(two_layers)(x).shape == (5, 3)


def test_sizes_are_computed_as_rows_come() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["pairs"]),
        helper.make_node("Abs", ["target"], ["whole"]),
        helper.make_node("ConstantOfShape", ["whole"], ["zeros"]),
        helper.make_node("Add", ["pairs", "zeros"], ["logits"]),
    ]
    stored = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([2, -1])}
    model = model_of(nodes, stored=stored)
    module = differentiable(model, ["logits", "target"])
    for n in (1, 3):
        rows = torch.randn(n, 4)
        found = module(rows)
        assert torch.equal(found["logits"], rows.reshape(n, 2, 2))
        assert found["target"].tolist() == [n, 2, -1]


def test_what_no_row_reaches_is_computed_once() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array([1.0, 2, 3, 4], np.float32))),
        helper.make_node("Exp", ["c"], ["e"]),
        helper.make_node("Split", ["e"], ["a", "b"], num_outputs=2),
        helper.make_node("Concat", ["b", "a"], ["w"], axis=0),
        helper.make_node("Mul", ["x", "w"], ["logits"]),
    ]
    model = model_of(nodes, outputs=("logits", "a"))
    module = differentiable(model, ["logits", "a"])
    assert len(module._program.steps) == 1
    assert verify(module, model, np.ones((2, 4), np.float32)) <= 1e-5


def test_intermediate_tensors_do_not_outlive_their_use(two_layers: onnx.ModelProto) -> None:
    steps = differentiable(two_layers)._program.steps
    assert [len(step.finished) for step in steps] == [0, 1, 1]


@pytest.mark.parametrize(
    "attribute",
    [
        {"value_float": 2.0},
        {"value_floats": [1.0, 2.0, 3.0, 4.0]},
        {"value": numpy_helper.from_array(np.array(3, np.float32))},
    ],
)
def test_constants_of_every_kind(attribute: dict[str, Any]) -> None:
    nodes = [helper.make_node("Constant", [], ["c"], **attribute), helper.make_node("Mul", ["x", "c"], ["logits"])]
    model = model_of(nodes)
    assert verify(differentiable(model), model, np.ones((2, 4), np.float32)) <= 1e-6


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        (TensorProto.FLOAT16, torch.float16),
        (TensorProto.BFLOAT16, torch.bfloat16),
        (TensorProto.DOUBLE, torch.float64),
        (TensorProto.INT64, torch.int64),
        (TensorProto.INT32, torch.int32),
        (TensorProto.UINT8, torch.uint8),
        (TensorProto.INT4, torch.int8),
        (TensorProto.BOOL, torch.bool),
    ],
)
def test_constants_keep_their_type(element: int, dtype: torch.dtype) -> None:
    model = model_of(
        [helper.make_node("Cast", ["c"], ["c2"], to=FLOAT), helper.make_node("Add", ["x", "c2"], ["logits"])]
    )
    model.graph.initializer.append(helper.make_tensor("c", element, [4], [1, 0, 1, 1]))
    module = differentiable(model, ["c", "logits"])
    found = module(torch.zeros(1, 4))
    assert found["c"].dtype == dtype
    assert found["logits"].tolist() == [[1.0, 0.0, 1.0, 1.0]]


def test_functions_of_the_model_s_own_are_put_in_place(x: torch.Tensor) -> None:
    model = model_of([helper.make_node("Twice", ["x"], ["logits"], domain="own")])
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    opset = helper.make_opsetid("", 21)
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, [opset]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert torch.equal(differentiable(model)(x), 2 * x)


def test_a_file_and_its_model_are_the_same(two_layers: onnx.ModelProto, x: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(two_layers, path, save_as_external_data=True, location="weights", size_threshold=0)
    module = differentiable(path)
    assert torch.equal(module(x), differentiable(onnx.load(path))(x))
    assert verify(module, path, {"x": x.numpy()}) <= 1e-5
    assert unsupported(path) == []


def test_a_gradient_passes_the_first_cast_of_an_integer_input() -> None:
    model = model_of(
        [helper.make_node("Cast", ["x"], ["f"], to=FLOAT), helper.make_node("Mul", ["f", "f"], ["logits"])]
    )
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    module = differentiable(model)
    rows = torch.tensor([[3.0]], requires_grad=True)
    module(rows).sum().backward()
    assert rows.grad is not None
    assert rows.grad.tolist() == [[6.0]]
    assert verify(module, model, np.arange(8, dtype=np.uint8).reshape(2, 4)) == 0.0


def test_verification_finds_another_model(two_layers: onnx.ModelProto, x: torch.Tensor) -> None:
    module = differentiable(two_layers)
    other = onnx.ModelProto()
    other.CopyFrom(two_layers)
    weights = numpy_helper.to_array(other.graph.initializer[0]) + np.float32(0.01)
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    assert verify(module, other, x.numpy()) > 1e-3


def test_verification_does_not_overlook_what_is_no_number() -> None:
    good = model_of([helper.make_node("Relu", ["x"], ["logits"])])
    bad = model_of([helper.make_node("Log", ["x"], ["logits"])])
    rows = -np.ones((1, 4), np.float32)
    assert verify(differentiable(good), bad, rows) == float("inf")
    assert verify(differentiable(bad), bad, rows) == 0.0
    shorter = model_of([helper.make_node("ReduceSum", ["x"], ["logits"])])
    with pytest.raises(ValueError, match="shapes differ"):
        verify(differentiable(good), shorter, rows)


def test_the_published_list_is_the_real_one() -> None:
    text = models.gradients.__doc__
    assert text is not None
    blocks = text.split("ai.onnx:")[1].split("of ai.onnx.ml:")
    for domain, block in zip(("", "ai.onnx.ml"), blocks, strict=True):
        listed = [name.strip() for name in block.split("\n\n")[1].replace("\n", " ").split(",")]
        assert listed == sorted(name for other, name in OPERATORS if other == domain)
    assert operator_list().splitlines()[0].startswith("ai.onnx: Abs, Acos")
    assert operator_list().splitlines()[1].startswith("ai.onnx.ml: ArrayFeatureExtractor")
