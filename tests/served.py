"""Small real ONNX models behind the gateway's app, and a recorder that keeps what it is told in a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from detectors.base import View
from detectors.calibration import TailMap
from gateway.app import App, build
from gateway.chain import Chain, Stage
from gateway.config import Config, EndpointConfig
from gateway.endpoint import Endpoint
from gateway.policy import Policy
from gateway.state.config import StateConfig
from gateway.telemetry.config import TelemetryConfig
from gateway.telemetry.observation import ChainInfo, Observation, Recorder
from gateway.tracking.opening import open_tracker
from gateway.tracking.tracker import Tracker
from models.backend import ModelBackend
from models.batch import Array
from models.specs import InputConfig, OnnxSpec, OutputConfig, load_model, resolve

WEIGHTS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
VERSION = "c0ffee" * 10


@dataclass
class Listed:
    """A recorder."""

    room: bool = True
    seen: list[Observation] = field(default_factory=list)

    def offer(self, observation: Observation) -> bool:
        self.seen.append(observation)
        return self.room

    def has_room(self, principal: str) -> bool:
        return self.room


@dataclass(frozen=True)
class Largest:
    """Scores a row by its largest value: rows over `flag` are flagged, over `reject` rejected (see `guarded`)."""

    name: str = "largest"

    def score(self, view: View) -> Array:
        found: Array = view.x.reshape(len(view), -1).max(axis=1).astype(np.float32)
        return found


def image_model(folder: Path, **config: Any) -> tuple[OnnxSpec, ModelBackend]:
    """Rows (1, 3, 4) in [0, 1] to three logits: x @ WEIGHTS."""
    return _linear(folder, "image.onnx", TensorProto.FLOAT, ["n", 1, 3, 4], {"layout": "NCHW"} | config)


def table_model(folder: Path, **config: Any) -> tuple[OnnxSpec, ModelBackend]:
    """Rows (12,) to three logits."""
    return _linear(folder, "table.onnx", TensorProto.FLOAT, ["n", 12], config)


def typed_model(
    folder: Path, datatype: int, outputs: Sequence[str] = ("y",), **config: Any
) -> tuple[OnnxSpec, ModelBackend]:
    """Rows (2,) of any type, given back as they came by every output."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], [name]) for name in outputs],
        "typed",
        [helper.make_tensor_value_info("x", datatype, ["n", 2])],
        [helper.make_tensor_value_info(name, datatype, ["n", 2]) for name in outputs],
    )
    return _load(folder, f"typed-{datatype}.onnx", graph, config, {"kind": "none"})


def token_model(folder: Path, words: int = 10) -> tuple[OnnxSpec, ModelBackend]:
    """Rows of four token ids below `words`; onnxruntime refuses larger ones."""
    table = numpy_helper.from_array(np.ones((words, 3), dtype=np.float32), "table")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "x"], ["each"]),
            helper.make_node("ReduceSum", ["each", "axis"], ["logits"], keepdims=0),
        ],
        "tokens",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [table, numpy_helper.from_array(np.array([1]), "axis")],
    )
    return _load(folder, "tokens.onnx", graph, {"kind": "tokens"}, {"kind": "logits", "logits": "logits"})


def text_model(folder: Path) -> tuple[OnnxSpec, ModelBackend]:
    """A guarded table `x` (2,), and a text column `t` (1,) given back as it came."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["t"], ["said"])],
        "text",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("t", TensorProto.STRING, ["n", 1]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("said", TensorProto.STRING, ["n", 1]),
        ],
    )
    spec = OnnxSpec(path=Path("text.onnx"), guard=("x",), input=InputConfig(kind="table", shape=(2,)), features="none",
                    outputs=OutputConfig(kind="none"))  # fmt: skip
    _save(folder, "text.onnx", graph)
    return spec, load_model(spec, folder)


def endpoint(name: str, model: tuple[OnnxSpec, ModelBackend], chain: Chain | None = None, **config: Any) -> Endpoint:
    spec, backend = model
    stated = EndpointConfig(model=spec, reference=Path("reference.npz"), **config)
    info = ChainInfo(name, VERSION, stated.mode, 0.0, 0.0, (), "onnx", backend.spec)
    return Endpoint(name, stated, chain or Chain(backend), info)


def guarded(backend: ModelBackend, flag: float = 0.8, reject: float = 0.9, **stage: Any) -> Chain:
    """A chain that flags rows with a value over `flag` and rejects those with one over `reject`."""
    tail = TailMap.fit(np.linspace(0.0, 1.0, 2000, dtype=np.float32))
    cuts = [float(tail(np.array([score], dtype=np.float32))[0]) for score in (flag, reject)]
    calibrated = np.sort(np.random.default_rng(0).random(500))
    return Chain(backend, (Stage("largest", Largest(), tail, **stage),), Policy(cuts[0], cuts[1], calibrated))


def app(folder: Path, endpoints: Sequence[Endpoint], recorder: Listed | None = None, **telemetry: Any) -> App:
    config = configured(folder, endpoints, telemetry=TelemetryConfig(**telemetry))
    return build(config, {each.name: each for each in endpoints}, recorder or Listed())


@contextmanager
def tracked(config: Config, endpoint: Endpoint, recorder: Recorder | None = None) -> Iterator[tuple[App, Tracker]]:
    """The app, and the tracker of what it serves, which ends with the block."""
    tracker = open_tracker(config, {endpoint.name: endpoint})
    assert tracker is not None
    tracker.start()
    try:
        yield build(config, {endpoint.name: endpoint}, recorder or Listed(), tracker), tracker
    finally:
        tracker.close()


def configured(folder: Path, endpoints: Sequence[Endpoint], **config: Any) -> Config:
    return Config(
        endpoints={each.name: each.config for each in endpoints}, state=StateConfig(path=folder / "state"), **config
    )


def client(served: App, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=served, client=(peer, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


def _linear(
    folder: Path, name: str, datatype: int, shape: list[str | int], config: dict[str, Any]
) -> tuple[OnnxSpec, ModelBackend]:
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", datatype, shape)],
        [helper.make_tensor_value_info("logits", datatype, ["n", 3])],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    return _load(folder, name, graph, {"bounds": (0.0, 1.0), "shape": tuple(shape[1:])} | config, {})


def _load(
    folder: Path, name: str, graph: onnx.GraphProto, config: dict[str, Any], outputs: dict[str, Any]
) -> tuple[OnnxSpec, ModelBackend]:
    _save(folder, name, graph)
    shape = tuple(dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim[1:])
    dtype = helper.tensor_dtype_to_np_dtype(graph.input[0].type.tensor_type.elem_type)
    rows = np.ones((4, *shape), dtype=dtype)
    spec = OnnxSpec(path=Path(name), input=InputConfig(**config), outputs=OutputConfig(**outputs), features="none")
    resolved = resolve(spec, rows, folder)
    assert isinstance(resolved, OnnxSpec)
    return resolved, load_model(resolved, folder)


def _save(folder: Path, name: str, graph: onnx.GraphProto) -> None:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(folder / name))
