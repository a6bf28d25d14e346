"""Every kind of model goes through `calibrate` and answers from its bundle as it did before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gateway.config import Config
from gateway.errors import OperatorError
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Array, Batch

FITTED = 900
CHAIN: list[dict[str, Any]] = [{"kind": "contract"}, {"kind": "mahalanobis"}, {"kind": "nearest", "when": "suspicious"}]


@pytest.fixture
def digits() -> tuple[Array, Array]:
    """All rows as tables of 64, float32 in [0, 1], and their classes."""
    pixels, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return (pixels[order] / 16).astype(np.float32), y[order]


def through(tmp_path: Path, model: dict[str, Any], x: Any, y: Any, chain: list[dict[str, Any]] | None = None) -> Any:
    """Calibrates on rows after the first ones, and loads the endpoint."""
    for name, rows in (("train", slice(0, FITTED)), ("test", slice(FITTED, None))):
        arrays = {key: array[rows] for key, array in x.items()} if isinstance(x, dict) else {"x": x[rows]}
        np.savez(tmp_path / f"{name}.npz", **arrays, y=y[rows])
    data = {"reference": tmp_path / "train.npz", "holdout": tmp_path / "test.npz"}
    endpoint = {"model": model, **data, "chain": CHAIN if chain is None else chain}
    config = Config.model_validate({"endpoints": {"m": endpoint}, "bundle": tmp_path / "bundle"})
    report = calibrate(config, "m")
    assert report.measured.flag is not None
    assert report.measured.flag.as_predicted
    return load_endpoints(config)["m"].chain


@pytest.fixture
def network(tmp_path: Path) -> Any:
    """A torch network, and the file of the function that makes it."""
    torch = pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))\n"
    )
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).eval()


def test_safetensors_and_a_factory_become_a_pt2_in_the_bundle(
    tmp_path: Path, digits: tuple[Array, Array], network: Any
) -> None:
    import torch
    from safetensors.torch import save_file

    save_file(network.state_dict(), tmp_path / "net.safetensors")
    model = {"kind": "pytorch", "path": tmp_path / "net.safetensors", "factory": f"{tmp_path}/net.py:make"}
    chain = through(tmp_path, model, *digits)
    expected = network(torch.from_numpy(digits[0][:20])).detach().numpy()
    assert chain.backend.predict(Batch(digits[0][:20].copy())).logits == pytest.approx(expected, abs=1e-5)
    assert [path.name for path in (tmp_path / "bundle" / "m").glob("model-*/*")] == ["net.pt2"]


def test_a_pt2_file(tmp_path: Path, digits: tuple[Array, Array], network: Any) -> None:
    import torch

    rows = {0: torch.export.Dim.AUTO}
    program = torch.export.export(network, (torch.zeros(4, 64),), dynamic_shapes=(rows,))
    torch.export.save(program, tmp_path / "net.pt2")
    chain = through(tmp_path, {"kind": "pytorch", "path": tmp_path / "net.pt2"}, *digits)
    expected = network(torch.from_numpy(digits[0][:20])).detach().numpy()
    assert chain.backend.predict(Batch(digits[0][:20].copy())).logits == pytest.approx(expected, abs=1e-5)


def test_layers_are_in_the_bundle_where_a_detector_looks_at_them(
    tmp_path: Path, digits: tuple[Array, Array], network: Any
) -> None:
    import torch

    rows = {0: torch.export.Dim.AUTO}
    program = torch.export.export(network, (torch.zeros(4, 64),), dynamic_shapes=(rows,))
    torch.export.save(program, tmp_path / "net.pt2")
    model = {"kind": "pytorch", "path": tmp_path / "net.pt2"}
    free = [{"kind": kind} for kind in ("input_statistics", "margin", "deep_mahalanobis", "local_intrinsic_dimension")]
    chain = through(tmp_path, model, *digits, chain=free)
    [found] = chain.backend.predict(Batch(digits[0][:20].copy())).layers.values()
    assert found == pytest.approx(network[:2](torch.from_numpy(digits[0][:20])).detach().numpy(), abs=1e-5)
    assert chain.run(Batch(digits[0][:20].copy())).verdicts.statistic.shape == (20,)
    assert not through(tmp_path, model, *digits).backend.predict(Batch(digits[0][:20].copy())).layers


def to_onnx(model: Any, path: Path, types: list[tuple[str, Any]]) -> dict[str, Any]:
    skl2onnx = pytest.importorskip("skl2onnx")
    path.write_bytes(skl2onnx.convert_sklearn(model, initial_types=types, target_opset=17).SerializeToString())
    return {"kind": "onnx", "path": path}


@pytest.mark.parametrize("kind", ["pipeline", "boosted"])
def test_scikit_learn_models(tmp_path: Path, digits: tuple[Array, Array], kind: str) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    x, y = digits
    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    sklearn = scaled if kind == "pipeline" else GradientBoostingClassifier(n_estimators=5)
    sklearn.fit(x[:FITTED], y[:FITTED])
    spec = to_onnx(sklearn, tmp_path / "m.onnx", [("x", FloatTensorType([None, 64]))])
    chain = through(tmp_path, spec, x, y)
    logits = chain.backend.predict(Batch(x[:50].copy())).logits
    assert np.exp(logits) == pytest.approx(sklearn.predict_proba(x[:50]), abs=1e-4)


def test_one_input_a_column(tmp_path: Path) -> None:
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer

    rng = np.random.default_rng(0)
    table = {name: rng.normal(size=1800).astype(np.float32) for name in ("age", "income", "debt")}
    y = (table["income"] - table["debt"] + 0.3 * rng.normal(size=1800) > 0).astype(np.int64)
    frame = np.column_stack(list(table.values()))
    columns = ColumnTransformer([("scale", StandardScaler(), [0, 1, 2])])
    sklearn = make_pipeline(columns, LogisticRegression()).fit(frame, y)
    spec = to_onnx(sklearn, tmp_path / "m.onnx", [(name, FloatTensorType([None, 1])) for name in table])
    shuffled = {name: table[name] for name in ("debt", "age", "income")}
    chain = through(tmp_path, spec, shuffled, y)
    batch = chain.backend.join({name: array[:50, None] for name, array in table.items()})
    assert np.exp(chain.backend.predict(batch).logits) == pytest.approx(sklearn.predict_proba(frame[:50]), abs=1e-4)


def test_a_regression_can_be_guarded_but_not_by_what_needs_classes(tmp_path: Path, digits: tuple[Array, Array]) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    x, _ = digits
    target = x.mean(axis=1)
    sklearn = RandomForestRegressor(n_estimators=3, max_depth=4).fit(x[:FITTED], target[:FITTED])
    spec = to_onnx(sklearn, tmp_path / "m.onnx", [("x", FloatTensorType([None, 64]))])
    chain = through(tmp_path, spec, x, target, [{"kind": "contract"}, {"kind": "nearest"}])
    assert chain.backend.predict(Batch(x[:5].copy())).logits is None
    with pytest.raises(OperatorError, match=r"chain\[0\] \(energy\): .*logits"):
        through(tmp_path, spec, x, target, [{"kind": "energy"}])
