"""The model in torch answers what the backend answers, and has gradients; or says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from attacks.network import Network, NotDifferentiable
from models.batch import Array, Batch
from models.specs import ModelSpec, OnnxSpec, PytorchSpec, load_model, resolve
from tests import tiny
from tests.project import to_onnx


class Convolution(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(1, 4, 3)
        self.last = torch.nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(torch.relu(self.first(x)).mean(dim=(2, 3))).softmax(dim=1)
        return found


def rows(n: int = 6) -> Array:
    return np.asarray(tiny.image().rows.x[:n])


def as_onnx(folder: Path, softmax: bool = False, tail: str | None = None) -> ModelSpec:
    to_onnx(tiny.image().net, folder / "net.onnx")
    model = onnx.load(folder / "net.onnx")
    if softmax or tail:
        model.graph.node.append(helper.make_node(tail or "Softmax", ["logits"], ["p"]))
        model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["rows", 10]))
        del model.graph.output[0]
        onnx.save(model, folder / "net.onnx")
    return resolve(OnnxSpec(path=folder / "net.onnx"), rows())


def as_pt2(folder: Path) -> ModelSpec:
    net = Convolution().eval()
    program = torch.export.export(net, (torch.tensor(rows()),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, folder / "net.pt2")
    return resolve(PytorchSpec(path=folder / "net.pt2"), rows())


@pytest.mark.parametrize("kind", ["onnx", "softmax", "pt2"])
def test_answers_as_the_backend_does_and_has_gradients(tmp_path: Path, kind: str) -> None:
    spec = as_pt2(tmp_path) if kind == "pt2" else as_onnx(tmp_path, softmax=kind == "softmax")
    network, backend = Network.of(spec), load_model(spec)
    network.verify(Batch(rows()), backend)
    expected = backend.predict(Batch(rows()))
    x = torch.tensor(rows(), requires_grad=True)
    found = network.outputs(x)
    assert expected.logits is not None
    assert expected.features is not None
    assert found.features is not None
    np.testing.assert_allclose(found.logits.detach(), expected.logits, atol=1e-4)
    np.testing.assert_allclose(found.features.detach(), expected.features, atol=1e-4)
    (slope,) = torch.autograd.grad(found.logits[:, 0].sum() + found.features.sum(), x)
    assert slope.shape == x.shape
    assert float(slope.abs().sum()) > 0.0


def test_gradients_of_a_sure_softmax_do_not_vanish(tmp_path: Path) -> None:
    network = Network.of(as_onnx(tmp_path, softmax=True))
    x = torch.tensor(100.0 * rows(), requires_grad=True)
    logits = network.outputs(x).logits
    assert float(logits.detach().max(dim=1).values.exp().min()) == 1.0
    top, second = logits.topk(2, dim=1).values.unbind(dim=1)
    (slope,) = torch.autograd.grad((top - second).sum(), x)
    assert bool((slope.flatten(1).abs().sum(dim=1) > 0.0).any())


def test_says_which_operator_has_no_gradient(tmp_path: Path) -> None:
    with pytest.raises(NotDifferentiable, match="Unsupported: operators Bernoulli"):
        Network.of(as_onnx(tmp_path, tail="Bernoulli").model_copy(update={"features": "none"}))


def test_a_model_without_classes_has_none(tmp_path: Path) -> None:
    spec = as_onnx(tmp_path)
    blind = spec.model_copy(update={"outputs": spec.outputs.model_copy(update={"kind": "none", "logits": None})})
    with pytest.raises(NotDifferentiable, match="no class logits"):
        Network.of(blind)


def test_a_twin_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    spec = as_onnx(tmp_path)
    network = Network.of(spec)
    net = tiny.image().net
    other = replace(net, last=np.asarray(1.1 * net.last, dtype=np.float32))
    with pytest.raises(NotDifferentiable, match="its logits differ by"):
        network.verify(Batch(rows()), other)
