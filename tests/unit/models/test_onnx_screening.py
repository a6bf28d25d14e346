"""ONNX files that would bring code or read other files are refused before onnxruntime sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.errors import ModelError, UnsafeModel
from models.onnx_screening import external_files, read_onnx
from models.specs import OnnxSpec, load_model, model_files

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])


def model_of(*nodes: onnx.NodeProto, domains: tuple[str, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "graph", [X], [Y], [numpy_helper.from_array(WEIGHT, "w")])
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def saved(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


MATMUL = helper.make_node("MatMul", ["x", "w"], ["y"])


def external(location: str) -> onnx.ModelProto:
    model = model_of(MATMUL)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model


@pytest.mark.parametrize(
    ("domain", "operator"),
    [("my.company", "Magic"), ("trt.plugins", "Plugin"), ("com.microsoft", "EPContext"), ("com.microsoft", "PythonOp")],
)
def test_operators_from_elsewhere_are_refused_wherever_they_hide(domain: str, operator: str, tmp_path: Path) -> None:
    foreign = helper.make_node(operator, ["x"], ["y"], domain=domain)
    with pytest.raises(UnsafeModel, match=f"found {domain}.{operator}"):
        read_onnx(saved(model_of(foreign, domains=(domain,)), tmp_path / "top.onnx"))
    branch = helper.make_graph([foreign], "branch", [], [Y])
    hidden = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(UnsafeModel, match=f"found {domain}.{operator}"):
        read_onnx(saved(model_of(hidden, domains=(domain,)), tmp_path / "branch.onnx"))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    function = helper.make_function("mine", "Wrapped", ["x"], ["y"], [foreign], opsets)
    model = model_of(helper.make_node("Wrapped", ["x"], ["y"], domain="mine"), domains=("mine", domain))
    model.functions.append(function)
    with pytest.raises(UnsafeModel, match=f"found {domain}.{operator}"):
        read_onnx(saved(model, tmp_path / "function.onnx"))


def test_functions_of_the_model_itself_are_inlined(tmp_path: Path) -> None:
    body = helper.make_node("MatMul", ["a", "b"], ["c"])
    function = helper.make_function("mine", "Layer", ["a", "b"], ["c"], [body], [helper.make_opsetid("", 17)])
    model = model_of(helper.make_node("Layer", ["x", "w"], ["y"], domain="mine"), domains=("mine",))
    model.functions.append(function)
    path = saved(model, tmp_path / "m.onnx")
    assert [node.op_type for node in read_onnx(path).graph.node] == ["MatMul"]
    backend = load_model(OnnxSpec(path=path))
    x = np.ones((2, 4), dtype=np.float32)
    np.testing.assert_allclose(backend.predict(backend.join({"x": x})).tensors["y"], x @ WEIGHT)


def test_data_beside_the_model_is_read_and_listed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(WEIGHT.tobytes())
    path = saved(external("data/w.bin"), tmp_path / "m.onnx")
    assert external_files(path) == (tmp_path / "data" / "w.bin",)
    assert model_files(OnnxSpec(path=Path("m.onnx")), tmp_path) == (path, tmp_path / "data" / "w.bin")
    backend = load_model(OnnxSpec(path=path))
    x = np.ones((2, 4), dtype=np.float32)
    np.testing.assert_allclose(backend.predict(backend.join({"x": x})).tensors["y"], x @ WEIGHT)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "{outside}/secret.bin", "link.bin", "linked/secret.bin", "", "."]
)
def test_data_outside_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "linked").symlink_to(tmp_path)
    path = saved(external(location.format(outside=tmp_path)), folder / "m.onnx")
    with pytest.raises(UnsafeModel, match="inside the model's folder"):
        load_model(OnnxSpec(path=path))


@pytest.mark.parametrize("location", ["absent.bin", "*/_ORT_MEM_ADDR_/*"])
def test_data_that_is_no_file_is_refused(location: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_onnx(saved(external(location), tmp_path / "m.onnx"))


def test_data_of_attributes_is_held_to_the_same_rule(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["w2"], value=external("../secret.bin").graph.initializer[0])
    model = model_of(constant, helper.make_node("MatMul", ["x", "w2"], ["y"]))
    with pytest.raises(UnsafeModel, match="inside the model's folder"):
        read_onnx(saved(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize("content", [b"", b"hello, world", b"\x80\x04\x95 pickle"])
def test_other_files_are_told_apart(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="expected an ONNX file"):
        read_onnx(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="found none at"):
        read_onnx(tmp_path / "absent.onnx")
