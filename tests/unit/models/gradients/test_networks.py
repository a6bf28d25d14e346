"""Whole networks: what an exporter or a converter made of them computes the same, and has the same gradient."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import onnx
import pytest
import torch
from onnx import version_converter
from torch import Tensor, nn

from models.gradients import TOLERANCE, differentiable, verify

# What both exporters of torch warn of, now and then; nothing here depends on it.
pytestmark = pytest.mark.filterwarnings("ignore")


class Block(nn.Module):
    """A residual block (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Transformer(nn.Module):
    """A small vision transformer (Dosovitskiy et al. 2021)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 64, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.places
        head: Tensor = self.head(self.norm(self.body(tokens))[:, 0])
        return head


class Series(nn.Module):
    """An LSTM over a time series."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(3, 16, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x)[0].mean(1))
        return logits


class Upsampling(nn.Module):
    """A network that pads, groups, shuffles and resizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.SiLU())
        self.second = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1, groups=4), nn.InstanceNorm2d(16, affine=True), nn.GELU())
        self.third = nn.Sequential(nn.PixelShuffle(2), nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.Hardswish())
        self.head = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(128, 5), nn.LogSoftmax(1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        y = nn.functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        logits: Tensor = self.head(self.third(y))
        return logits


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 32), nn.ELU(), nn.Dropout(), nn.Linear(32, 5)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding="same"),
        nn.PReLU(16),
        nn.AvgPool2d(3, 2, 1),
        nn.Flatten(),
        nn.Linear(256, 5),
        nn.Softmax(1),
    )


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        Block(8, 16, 2),
        Block(16, 16, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


IMAGES = (3, 16, 16)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (12,)),
    "cnn": (cnn, IMAGES),
    "resnet": (resnet, IMAGES),
    "transformer": (Transformer, IMAGES),
    "upsampling": (Upsampling, IMAGES),
    "series": (Series, (20, 3)),
}


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights and statistics, and four rows for it."""
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    made = make()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return made.eval(), torch.randn(4, *shape)


def traced(made: nn.Module, x: Tensor, opset: int, **more: Any) -> onnx.ModelProto:
    """By the older exporter of torch, which traces."""
    file = io.BytesIO()
    torch.onnx.export(
        made,
        (x,),
        file,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=opset,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        **more,
    )
    return onnx.load_from_string(file.getvalue())


def exported(made: nn.Module, x: Tensor, opset: int) -> onnx.ModelProto:
    """By the newer exporter of torch, which captures the graph."""
    n = torch.export.Dim("n", min=2, max=64)
    shapes = {next(iter(_names(made))): {0: n}}
    program = torch.onnx.export(made, (x,), dynamo=True, opset_version=opset, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    return program.model_proto


def _names(made: nn.Module) -> list[str]:
    return ["input"] if isinstance(made, nn.Sequential) else ["x"]


def check_same(model: onnx.ModelProto, made: nn.Module, x: Tensor) -> None:
    """Outputs as onnxruntime's and torch's, gradients as torch's, for as many rows as were exported and for others."""
    module = differentiable(model)
    for rows in (x, x[:3] + 0.1):
        assert verify(module, model, rows.numpy()) <= TOLERANCE
        gradients = []
        for run in (module, made):
            leaf = rows.clone().requires_grad_(True)
            y = run(leaf)
            y.square().sum().backward()
            gradients.append((y.detach(), leaf.grad))
        (ours, our_gradient), (theirs, their_gradient) = gradients
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("opset", [14, 17, 20])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_traced_networks(name: str, opset: int) -> None:
    made, x = network(name)
    check_same(traced(made, x, opset), made, x)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"transformer"}))  # exported from opset 14 on
def test_networks_traced_for_the_oldest_opset(name: str) -> None:
    made, x = network(name)
    check_same(traced(made, x, 13), made, x)


def test_a_traced_network_with_its_batch_normalization() -> None:
    made, x = network("resnet")
    model = traced(made, x, 13, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    assert "BatchNormalization" in {node.op_type for node in model.graph.node}
    check_same(model, made, x)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 21, 23])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_exported_networks(name: str, opset: int) -> None:
    made, x = network(name)
    check_same(exported(made, x, opset), made, x)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_opset_by_conversion(name: str) -> None:
    made, x = network(name)
    model = traced(made, x, 14)
    for opset in range(15, 22):
        check_same(version_converter.convert_version(model, opset), made, x)
