"""ONNX models answer exactly as onnxruntime does, and give logits and features from the same run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto

from models.errors import ModelError
from models.specs import InputConfig, OnnxSpec, OutputConfig, load_model, resolve
from tests.perceptrons import FLOAT, MLP, MLP_WEIGHTS, RNG, N, Node, build, loaded, mlp, reference, weights


def test_a_table_model_is_recognized_and_answers_as_onnxruntime(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    x = weights(7, 4)
    model = loaded(OnnxSpec(path=path), x)
    assert (model.spec.kind, model.spec.shape, model.spec.dtype) == ("table", (4,), np.dtype(np.float32))
    assert [(t.name, t.datatype, t.shape) for t in model.inputs] == [("x", "FP32", (-1, 4))]
    assert [(t.name, t.datatype, t.shape) for t in model.outputs] == [("y", "FP32", (-1, 3))]
    outputs = model.predict(model.join({"x": x}))
    assert list(outputs.tensors) == ["y"]
    np.testing.assert_array_equal(outputs.tensors["y"], reference(path, {"x": x})[0])
    assert outputs.logits is outputs.tensors["y"]
    hidden = np.maximum(x @ MLP_WEIGHTS["w1"] + MLP_WEIGHTS["b1"], 0)
    assert outputs.features is not None
    np.testing.assert_allclose(outputs.features, hidden, atol=1e-6)


def test_a_model_that_ends_in_softmax_gives_log_probabilities(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx", "Softmax")
    x = weights(5, 4)
    outputs = loaded(OnnxSpec(path=path), x).predict(load_model(OnnxSpec(path=path)).join({"x": x}))
    np.testing.assert_array_equal(outputs.tensors["out"], reference(path, {"x": x})[0])
    assert outputs.logits is not None
    np.testing.assert_allclose(outputs.logits, np.log(outputs.tensors["out"]), atol=1e-6)
    assert outputs.features is not None


def test_log_softmax_is_taken_as_logits(tmp_path: Path) -> None:
    spec = resolve(OnnxSpec(path=mlp(tmp_path / "m.onnx", "LogSoftmax")), weights(5, 4))
    assert spec.outputs == OutputConfig(logits="out", kind="logits")


def test_logits_inside_the_graph_can_be_named_and_stay_hidden(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx", "Softmax")
    x = weights(5, 4)
    model = loaded(OnnxSpec(path=path, outputs=OutputConfig(logits="y")), x)
    outputs = model.predict(model.join({"x": x}))
    assert list(outputs.tensors) == ["out"] == [tensor.name for tensor in model.outputs]
    assert outputs.logits is not None
    exp = np.exp(outputs.logits)
    np.testing.assert_allclose(exp / exp.sum(axis=1, keepdims=True), outputs.tensors["out"], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_a_fixed_number_of_rows_takes_any_number(rows: int, n: int, tmp_path: Path) -> None:
    fixed, free = mlp(tmp_path / "fixed.onnx", rows=rows), mlp(tmp_path / "free.onnx")
    x = weights(n, 4)
    model = loaded(OnnxSpec(path=fixed), weights(4, 4))
    outputs = model.predict(model.join({"x": x}))
    np.testing.assert_allclose(outputs.tensors["y"], reference(free, {"x": x})[0], atol=1e-6)
    assert outputs.features is not None
    assert outputs.features.shape == (n, 6)
    assert model.inputs[0].shape == (-1, 4)


CONVOLUTION: list[Node] = [
    ("Conv", "x k1", "c", {"pads": [1, 1, 1, 1]}),
    ("Relu", "c", "maps", {}),
]


def test_a_convolutional_head_pools_its_input_over_space(tmp_path: Path) -> None:
    head: list[Node] = [
        ("Conv", "maps k2", "scores", {}),
        ("GlobalAveragePool", "scores", "p", {}),
        ("Flatten", "p", "y", {}),
    ]
    path = build(
        tmp_path / "m.onnx",
        [*CONVOLUTION, *head],
        {"k1": weights(5, 3, 3, 3), "k2": weights(4, 5, 1, 1)},
        [("x", FLOAT, [N, 3, 8, 8])],
        [("y", FLOAT, [N, 4])],
    )
    x = weights(3, 3, 8, 8)
    model = loaded(OnnxSpec(path=path), x)
    assert (model.spec.kind, model.spec.layout) == ("image", "NCHW")
    outputs = model.predict(model.join({"x": x}))
    np.testing.assert_allclose(outputs.tensors["y"], reference(path, {"x": x})[0], atol=1e-6)
    assert outputs.features is not None
    assert outputs.features.shape == (3, 5)
    stated = loaded(OnnxSpec(path=path, features="scores"), x)
    assert stated.predict(stated.join({"x": x})).features is not None


def test_free_axes_and_channels_last_are_told_from_reference_rows(tmp_path: Path) -> None:
    path = build(
        tmp_path / "m.onnx",
        [
            ("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}),
            ("Conv", "t k1", "c", {}),
            ("GlobalAveragePool", "c", "p", {}),
            ("Relu", "p", "r", {}),
            ("Flatten", "r", "f", {}),
            ("Gemm", "f w", "y", {}),
        ],
        {"k1": weights(5, 3, 3, 3), "w": weights(5, 2)},
        [("x", FLOAT, [N, "h", "w_", 3])],
        [("y", FLOAT, [N, 2])],
    )
    with pytest.raises(ModelError, match=r"input\.shape"):
        load_model(OnnxSpec(path=path))
    x = weights(4, 9, 7, 3)
    model = loaded(OnnxSpec(path=path), x)
    assert (model.spec.kind, model.spec.layout, model.spec.shape) == ("image", "NHWC", (9, 7, 3))
    assert model.inputs[0].shape == (-1, 9, 7, 3)
    with pytest.raises(ModelError, match=r"reference: expected rows of shape \(\?, \?, 3\), found \(3, 9, 7\)"):
        resolve(OnnxSpec(path=path), weights(4, 3, 9, 7))


@pytest.mark.parametrize(
    ("element", "dtype"),
    [(TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, np.float64), (TensorProto.INT32, np.int32)],
)
def test_other_dtypes_of_the_guarded_input(element: int, dtype: type[np.generic], tmp_path: Path) -> None:
    path = build(
        tmp_path / "m.onnx",
        [("Cast", "x", "f", {"to": FLOAT}), *[("Gemm", "f w1 b1", "h", {}), *MLP[1:]]],
        MLP_WEIGHTS,
        [("x", element, [N, 4])],
        [("y", FLOAT, [N, 3])],
    )
    x = (weights(6, 4) * 20).astype(dtype)
    model = loaded(OnnxSpec(path=path), x)
    assert model.spec.dtype == dtype
    assert model.spec.kind == "table"
    outputs = model.predict(model.join({"x": x}))
    np.testing.assert_array_equal(outputs.tensors["y"], reference(path, {"x": x})[0])
    assert outputs.features is not None
    assert outputs.features.dtype == np.float32


def test_half_precision_outputs_stay_half_and_their_logits_are_float32(tmp_path: Path) -> None:
    half = {name: array.astype(np.float16) for name, array in MLP_WEIGHTS.items()}
    element = TensorProto.FLOAT16
    path = build(tmp_path / "m.onnx", MLP, half, [("x", element, [N, 4])], [("y", element, [N, 3])])
    x = weights(3, 4).astype(np.float16)
    model = loaded(OnnxSpec(path=path), x)
    outputs = model.predict(model.join({"x": x}))
    assert outputs.tensors["y"].dtype == np.float16
    assert outputs.logits is not None
    assert outputs.logits.dtype == np.float32
    np.testing.assert_array_equal(outputs.tensors["y"], reference(path, {"x": x})[0])


def test_token_ids_are_told_by_the_table_that_they_index(tmp_path: Path) -> None:
    path = build(
        tmp_path / "m.onnx",
        [("Gather", "table ids", "e", {}), ("ReduceMean", "e", "m", {"axes": [1], "keepdims": 0}), *_head("m")],
        {"table": weights(50, 8), "w1": weights(8, 6), "w2": weights(6, 3)},
        [("ids", TensorProto.INT64, [N, "length"])],
        [("y", FLOAT, [N, 3])],
    )
    ids = RNG.integers(0, 50, (5, 7))
    model = loaded(OnnxSpec(path=path), ids)
    assert (model.spec.kind, model.spec.shape) == ("tokens", (7,))
    outputs = model.predict(model.join({"ids": ids}))
    np.testing.assert_allclose(outputs.tensors["y"], reference(path, {"ids": ids})[0], atol=1e-6)


def _head(name: str) -> list[Node]:
    return [("MatMul", f"{name} w1", "h", {}), ("Relu", "h", "r", {}), ("MatMul", "r w2", "y", {})]


def test_series_and_several_inputs_and_outputs(tmp_path: Path) -> None:
    path = build(
        tmp_path / "m.onnx",
        [
            ("ReduceMean", "x", "m", {"axes": [1], "keepdims": 0}),
            ("Concat", "m extra", "j", {"axis": 1}),
            *_head("j"),
            ("Identity", "note", "echo", {}),
        ],
        {"w1": weights(5, 6), "w2": weights(6, 3)},
        [("x", FLOAT, [N, 10, 3]), ("extra", FLOAT, [N, 2]), ("note", TensorProto.STRING, [N, 1])],
        [("y", FLOAT, [N, 3]), ("echo", TensorProto.STRING, [N, 1])],
    )
    with pytest.raises(ModelError, match="guard: expected the name of the guarded input, one of: x, extra, note"):
        load_model(OnnxSpec(path=path))
    x, extra = weights(4, 10, 3), weights(4, 2)
    note = np.array([["a"], ["ü"], [""], ["d"]], dtype=object)
    resolved = resolve(OnnxSpec(path=path, guard=("x",)), x, extras={"extra": extra, "note": note})
    model = load_model(resolved)
    assert (model.spec.kind, model.spec.shape) == ("series", (10, 3))
    wire = np.array([[text[0].encode()] for text in note], dtype=object)
    outputs = model.predict(model.join({"x": x, "extra": extra, "note": wire}))
    expected = reference(path, {"x": x, "extra": extra, "note": note})
    np.testing.assert_allclose(outputs.tensors["y"], expected[0], atol=1e-6)
    assert outputs.tensors["echo"].tolist() == note.tolist() == expected[1].tolist()
    with pytest.raises(ModelError, match="input 'extra': expected"):
        model.join({"x": x, "note": note})
    with pytest.raises(ModelError, match="UTF-8"):
        model.join({"x": x, "extra": extra, "note": np.array([[b"\xff"]] * 4, dtype=object)})


def test_one_column_of_probabilities_or_logits_becomes_two_classes(tmp_path: Path) -> None:
    constants = {"w1": weights(4, 6), "b1": weights(6), "w2": weights(6, 1), "b2": weights(1)}
    path = build(
        tmp_path / "m.onnx",
        [*MLP, ("Sigmoid", "y", "p", {})],
        constants,
        [("x", FLOAT, [N, 4])],
        [("p", FLOAT, [N, 1])],
    )
    x = weights(5, 4)
    model = loaded(OnnxSpec(path=path), x)
    outputs = model.predict(model.join({"x": x}))
    p = outputs.tensors["p"]
    assert p.shape == (5, 1)
    assert outputs.logits is not None
    np.testing.assert_allclose(outputs.logits, np.log(np.concatenate([1 - p, p], axis=1)), atol=1e-6)
    raw = build(tmp_path / "raw.onnx", MLP, constants, [("x", FLOAT, [N, 4])], [("y", FLOAT, [N, 1])])
    with pytest.raises(ModelError, match=r"outputs\.kind"):
        resolve(OnnxSpec(path=raw), x)
    stated = loaded(OnnxSpec(path=raw, outputs=OutputConfig(kind="logits")), x)
    logits = stated.predict(stated.join({"x": x})).logits
    assert logits is not None
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], np.log(p / (1 - p))[:, 0], atol=1e-5)
    regression = loaded(OnnxSpec(path=raw, outputs=OutputConfig(kind="none")), x)
    assert regression.predict(regression.join({"x": x})).logits is None


def test_what_can_not_be_told_from_the_graph_is_told_from_rows_or_named_in_the_error(tmp_path: Path) -> None:
    normalized = [*MLP, ("Exp", "y", "e", {}), ("ReduceSum", "e one", "s", {}), ("Div", "e s", "p", {})]
    constants = {**MLP_WEIGHTS, "one": np.array([1])}
    path = build(tmp_path / "m.onnx", normalized, constants, [("x", FLOAT, [N, 4])], [("p", FLOAT, [N, 3])])
    with pytest.raises(ModelError, match=r"outputs\.kind: expected logits, probabilities or none"):
        load_model(OnnxSpec(path=path))
    assert resolve(OnnxSpec(path=path), weights(9, 4)).outputs == OutputConfig(logits="p", kind="probabilities")
    two = build(
        tmp_path / "two.onnx",
        [*MLP, ("Gemm", "features w2 b2", "other", {})],
        MLP_WEIGHTS,
        [("x", FLOAT, [N, 4])],
        [("y", FLOAT, [N, 3]), ("other", FLOAT, [N, 3])],
    )
    with pytest.raises(ModelError, match=r"outputs\.logits: .*\['y', 'other'\]"):
        resolve(OnnxSpec(path=two), weights(9, 4))


def test_linear_models_have_no_features(tmp_path: Path) -> None:
    path = build(
        tmp_path / "m.onnx",
        [("Sub", "x mean", "s", {}), ("Gemm", "s w", "z", {}), ("Softmax", "z", "p", {})],
        {"mean": weights(4), "w": weights(4, 3)},
        [("x", FLOAT, [N, 4])],
        [("p", FLOAT, [N, 3])],
    )
    assert resolve(OnnxSpec(path=path), weights(5, 4)).features == "none"


def test_features_can_be_stated_and_left_out(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    x = weights(2, 4)
    named = loaded(OnnxSpec(path=path, features="h"), x)
    features = named.predict(named.join({"x": x})).features
    assert features is not None
    np.testing.assert_allclose(features, x @ MLP_WEIGHTS["w1"] + MLP_WEIGHTS["b1"], atol=1e-6)
    bare = loaded(OnnxSpec(path=path, features="none"), x)
    assert bare.predict(bare.join({"x": x})).features is None
    with pytest.raises(ModelError, match="found 'nowhere'"):
        resolve(OnnxSpec(path=path, features="nowhere"), x)


def test_missing_values_pass_where_they_are_allowed(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    model = loaded(OnnxSpec(path=path, input=InputConfig(missing="allow", bounds=(0, 1))), weights(3, 4))
    assert model.spec.missing
    assert model.spec.bounds == (0.0, 1.0)
    assert np.isnan(model.predict(model.join({"x": np.full((2, 4), np.nan, np.float32)})).tensors["y"]).all()


def test_threads_share_a_model(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    model = load_model(OnnxSpec(path=path))
    rows = [weights(2, 4) for _ in range(64)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda x: model.predict(model.join({"x": x})).tensors["y"], rows))
    for x, y in zip(rows, got, strict=True):
        np.testing.assert_allclose(y, reference(path, {"x": x})[0], atol=1e-6)


def test_rows_may_be_read_only_and_lie_anyhow(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    model = load_model(OnnxSpec(path=path))
    x = np.asfortranarray(weights(8, 4))
    batch = model.join({"x": x})
    assert not batch.x.flags.writeable
    outputs = model.predict(batch.take(slice(0, 8, 2)))
    expected = reference(path, {"x": np.ascontiguousarray(x[::2])})[0]
    np.testing.assert_allclose(outputs.tensors["y"], expected, atol=1e-6)


def test_a_provider_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx")
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("onnxruntime has CUDA here")
    with pytest.raises(ModelError, match=r"providers: .*found cuda"):
        load_model(OnnxSpec(path=path, providers=("cuda", "cpu")))


def test_rows_of_another_shape_are_a_model_error(tmp_path: Path) -> None:
    model = load_model(OnnxSpec(path=mlp(tmp_path / "m.onnx")))
    with pytest.raises(ModelError, match="onnxruntime: "):
        model.predict(model.join({"x": weights(2, 5)}))


def test_an_output_without_rows_is_found_when_reference_rows_are_run(tmp_path: Path) -> None:
    nodes = [*MLP, ("ReduceSum", "y", "total", {"keepdims": 1})]
    path = build(
        tmp_path / "m.onnx",
        nodes,
        MLP_WEIGHTS,
        [("x", FLOAT, [N, 4])],
        [("y", FLOAT, [N, 3]), ("total", FLOAT, [1, 1])],
    )
    with pytest.raises(ModelError, match="total: expected 9 rows"):
        resolve(OnnxSpec(path=path, outputs=OutputConfig(logits="y")), weights(9, 4))


@pytest.mark.parametrize("element", [TensorProto.BFLOAT16, TensorProto.COMPLEX64])
def test_types_that_the_protocol_has_not_are_refused(element: int, tmp_path: Path) -> None:
    ends = [("x", element, [N, 4])], [("y", element, [N, 4])]
    path = build(tmp_path / "m.onnx", [("Identity", "x", "y", {})], {}, *ends)
    with pytest.raises(ModelError, match=r"^model: "):
        load_model(OnnxSpec(path=path))
