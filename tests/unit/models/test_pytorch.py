"""PyTorch models answer exactly as torch does, and give logits and features from the same run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models.backend import ModelBackend
from models.batch import Array
from models.errors import ModelError
from models.specs import OutputConfig, PytorchSpec, export_model, load_model, resolve

RNG = np.random.default_rng(0)
ROWS = {0: torch.export.Dim.DYNAMIC}


def weights(*shape: int) -> Array:
    return (RNG.standard_normal(shape) / 3).astype(np.float32)


class Mlp(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.last = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(torch.relu(self.first(x)))
        return logits


class Softmax(Mlp):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(super().forward(x), dim=1)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.last = nn.Conv2d(5, 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.first(x)))
        logits: torch.Tensor = self.pool(self.last(maps)).flatten(1)
        return logits


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        mean = torch.tanh(self.table(ids).mean(1) * weight)
        return {"logits": self.last(mean), "embedding": mean}


def export(path: Path, network: nn.Module, *args: torch.Tensor, free: Sequence[Any] | None = (ROWS,)) -> Path:
    torch.manual_seed(0)
    shapes = None if free is None else tuple(free)
    torch.export.save(torch.export.export(network.eval(), args, dynamic_shapes=shapes), path)
    return path


def loaded(spec: PytorchSpec, x: Array) -> ModelBackend:
    resolved = resolve(spec, x)
    assert resolved.is_resolved
    return load_model(PytorchSpec.model_validate_json(resolved.model_dump_json()))


def answer(network: nn.Module, x: Array) -> Array:
    with torch.inference_mode():
        found: Array = network(torch.tensor(x)).numpy()
        return found


def test_a_network_is_recognized_and_answers_as_torch(tmp_path: Path) -> None:
    network = Mlp()
    model = loaded(PytorchSpec(path=export(tmp_path / "m.pt2", network, torch.rand(2, 4))), weights(3, 4))
    assert (model.spec.kind, model.spec.shape, model.spec.dtype) == ("table", (4,), np.dtype(np.float32))
    assert [(t.name, t.datatype, t.shape) for t in model.inputs] == [("x", "FP32", (-1, 4))]
    assert [(t.name, t.datatype, t.shape) for t in model.outputs] == [("output", "FP32", (-1, 3))]
    x = weights(7, 4)
    outputs = model.predict(model.join({"x": x}))
    np.testing.assert_array_equal(outputs.tensors["output"], answer(network, x))
    assert outputs.logits is outputs.tensors["output"]
    assert outputs.features is not None
    np.testing.assert_allclose(outputs.features, np.maximum(answer(network.first, x), 0), atol=1e-6)


def test_a_network_that_ends_in_softmax_gives_log_probabilities(tmp_path: Path) -> None:
    network = Softmax()
    model = loaded(PytorchSpec(path=export(tmp_path / "m.pt2", network, torch.rand(2, 4))), weights(3, 4))
    x = weights(5, 4)
    outputs = model.predict(model.join({"x": x}))
    assert outputs.logits is not None
    np.testing.assert_allclose(outputs.logits, np.log(answer(network, x)), atol=1e-5)
    inner = loaded(
        PytorchSpec(path=tmp_path / "m.pt2", outputs=OutputConfig(logits="linear_1", kind="logits")), weights(3, 4)
    )
    hidden = inner.predict(inner.join({"x": x}))
    assert list(hidden.tensors) == ["output"]
    assert hidden.logits is not None
    np.testing.assert_allclose(hidden.logits, answer(network.last, np.asarray(hidden.features)), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_fixed_number_of_rows_takes_any_number(rows: int, tmp_path: Path) -> None:
    network = Mlp()
    path = export(tmp_path / "m.pt2", network, torch.rand(rows, 4), free=None)
    model = loaded(PytorchSpec(path=path), weights(4, 4))
    for n in (1, 2, 3, 7):
        x = weights(n, 4)
        np.testing.assert_allclose(model.predict(model.join({"x": x})).tensors["output"], answer(network, x), atol=1e-6)


def test_a_convolutional_head_pools_its_input_over_space(tmp_path: Path) -> None:
    network = Convolutional()
    free = ({0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},)
    path = export(tmp_path / "m.pt2", network, torch.rand(2, 3, 9, 8), free=free)
    with pytest.raises(ModelError, match=r"input\.shape"):
        load_model(PytorchSpec(path=path))
    x = weights(3, 3, 9, 7)
    model = loaded(PytorchSpec(path=path), x)
    assert (model.spec.kind, model.spec.layout, model.spec.shape) == ("image", "NCHW", (3, 9, 7))
    outputs = model.predict(model.join({"x": x}))
    np.testing.assert_allclose(outputs.tensors["output"], answer(network, x), atol=1e-6)
    assert outputs.features is not None
    assert outputs.features.shape == (3, 5)
    maps = torch.relu(network.norm(network.first(torch.tensor(x)))).detach().numpy()
    np.testing.assert_allclose(outputs.features, maps.mean(axis=(2, 3)), atol=1e-6)


def test_token_ids_an_input_beside_them_and_named_outputs(tmp_path: Path) -> None:
    network = Tokens()
    ids, weight = RNG.integers(0, 50, (5, 7)), weights(5, 8)
    path = export(tmp_path / "m.pt2", network, torch.tensor(ids), torch.tensor(weight), free=(ROWS, ROWS))
    resolved = resolve(PytorchSpec(path=path, guard=("ids",)), ids, extras={"weight": weight})
    model = load_model(resolved)
    assert (model.spec.kind, model.spec.shape, model.spec.dtype) == ("tokens", (7,), np.dtype(np.int64))
    assert [tensor.name for tensor in model.outputs] == ["logits", "embedding"]
    outputs = model.predict(model.join({"ids": ids, "weight": weight}))
    expected = network(torch.tensor(ids), torch.tensor(weight))
    for name, tensor in expected.items():
        np.testing.assert_allclose(outputs.tensors[name], tensor.detach().numpy(), atol=1e-6)
    assert outputs.logits is outputs.tensors["logits"]
    assert outputs.features is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions(dtype: torch.dtype, tmp_path: Path) -> None:
    network = Mlp().to(dtype)
    path = export(tmp_path / "m.pt2", network, torch.rand(2, 4).to(dtype))
    x = torch.tensor(weights(4, 4)).to(dtype).numpy()
    model = loaded(PytorchSpec(path=path), x)
    outputs = model.predict(model.join({"x": x}))
    assert outputs.tensors["output"].dtype == x.dtype == model.spec.dtype
    np.testing.assert_array_equal(outputs.tensors["output"], answer(network, x))
    assert outputs.logits is not None
    assert outputs.logits.dtype == np.float32


def test_types_that_the_protocol_has_not_are_refused(tmp_path: Path) -> None:
    path = export(tmp_path / "m.pt2", Mlp().to(torch.bfloat16), torch.rand(2, 4).to(torch.bfloat16))
    with pytest.raises(ModelError, match="bfloat16"):
        load_model(PytorchSpec(path=path))


def test_threads_share_a_model(tmp_path: Path) -> None:
    network = Mlp()
    model = load_model(PytorchSpec(path=export(tmp_path / "m.pt2", network, torch.rand(2, 4))))
    rows = [weights(2, 4) for _ in range(32)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda x: model.predict(model.join({"x": x})).tensors["output"], rows))
    for x, y in zip(rows, got, strict=True):
        np.testing.assert_allclose(y, answer(network, x), atol=1e-6)


def test_errors_are_one_clear_line(tmp_path: Path) -> None:
    path = export(tmp_path / "m.pt2", Mlp(), torch.rand(2, 4))
    model = load_model(PytorchSpec(path=path))
    with pytest.raises(ModelError, match=r"^torch: "):
        model.predict(model.join({"x": weights(2, 5)}))
    with pytest.raises(ModelError, match="found 'nowhere'"):
        load_model(PytorchSpec(path=path, features="nowhere"))
    with pytest.raises(ModelError, match="found none at"):
        load_model(PytorchSpec(path=tmp_path / "absent.pt2"))
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="found cuda"):
            load_model(PytorchSpec(path=path, providers=("cuda",)))


FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
"""


def make_weights(folder: Path) -> nn.Module:
    (folder / "net.py").write_text(FACTORY)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)).eval()
    save_file(network.state_dict(), folder / "m.safetensors")
    return network


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_safetensors_and_a_factory_become_a_file_that_can_be_served(dtype: type[Any], tmp_path: Path) -> None:
    network = make_weights(tmp_path)
    spec = PytorchSpec(path=Path("m.safetensors"), factory="./net.py:make")
    with pytest.raises(ModelError, match="calibrate"):
        load_model(spec, tmp_path)
    x = weights(6, 4)
    exported = export_model(spec, x.astype(dtype), tmp_path / "out.pt2", tmp_path)
    assert exported == PytorchSpec(path=tmp_path / "out.pt2")
    assert str(tmp_path).encode() not in (tmp_path / "out.pt2").read_bytes()
    (tmp_path / "net.py").unlink()
    model = loaded(PytorchSpec(path=exported.path), x)
    name = model.inputs[0].name
    np.testing.assert_allclose(model.predict(model.join({name: x})).tensors["output"], answer(network, x), atol=1e-6)
    one = model.predict(model.join({name: x[:1]})).tensors["output"]
    np.testing.assert_allclose(one, answer(network, x[:1]), atol=1e-6)
    assert export_model(exported, x, tmp_path / "other.pt2") is exported


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("./net.py:nothing", "expected a function 'nothing'"),
        ("./absent.py:make", "expected a Python file"),
        ("no.such.package:make", "expected a module"),
        ("./other.py:make", "expected the weights of"),
        ("./broken.py:make", r"torch\.export can't export"),
    ],
)
def test_a_factory_that_can_not_be_used_is_named(factory: str, message: str, tmp_path: Path) -> None:
    make_weights(tmp_path)
    (tmp_path / "other.py").write_text("from torch import nn\n\ndef make():\n    return nn.Linear(4, 3)\n")
    branching = "class Net(nn.Sequential):\n    def forward(self, x):\n        return 1 if x.sum() > 0 else x\n"
    layers = "nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)"
    (tmp_path / "broken.py").write_text(f"from torch import nn\n\n{branching}\ndef make():\n    return Net({layers})\n")
    spec = PytorchSpec(path=Path("m.safetensors"), factory=factory)
    with pytest.raises(ModelError, match=message):
        export_model(spec, weights(4, 4), tmp_path / "out.pt2", tmp_path)
