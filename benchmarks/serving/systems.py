"""The servers that are compared: how each is started, and what it is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import CACHE, ROOT
from benchmarks.serving.bodies import ARRAYS, OIP_BINARY, OIP_JSON, RAW, Format
from benchmarks.serving.chains import CHAINS, prepare
from benchmarks.serving.process import free_port
from benchmarks.serving.workload import Workload

MODEL = "clf"
INFER = f"/v2/models/{MODEL}/infer"
MLSERVER = CACHE.parent / "mlserver-venv" / "bin" / "python"
BIN = Path(sys.executable).parent


class Skipped(Exception):
    """A system is not measured; the text says why."""


@dataclass(frozen=True)
class Launch:
    """How to start a server on a port of its own."""

    command: tuple[str, ...]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """A server under load in one format. Systems with equal `server` share one process."""

    name: str
    title: str
    server: str
    path: str
    form: Format
    launch: Callable[[Workload, bool], Launch]


def _bare(work: Workload, quick: bool) -> Launch:
    port = free_port()
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
    app = "benchmarks.serving.apps.bare:app"
    command = (sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *options)
    return Launch(command, port, {"BENCH_MODEL": str(work.model)})


def _plain_bentoml(work: Workload, quick: bool) -> Launch:
    port = free_port()
    service = "benchmarks.serving.apps.plain_bentoml:Plain"
    command = (str(BIN / "bentoml"), "serve", service, "--host", "127.0.0.1", "--port", str(port))
    return Launch(command, port, {"BENCH_MODEL": str(work.model)})


def _mlserver(work: Workload, quick: bool) -> Launch:
    if not MLSERVER.exists():
        raise Skipped("no environment of its own in .cache/mlserver-venv (benchmarks/README.md says how to make it)")
    folder = work.folder / "mlserver"
    folder.mkdir(exist_ok=True)
    port = free_port()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    runtime = "benchmarks.serving.apps.mlserver_runtime.OnnxRuntime"
    (folder / "settings.json").write_text(json.dumps({**settings, "debug": False, "parallel_workers": 0}))
    (folder / "model-settings.json").write_text(json.dumps({"name": MODEL, "implementation": runtime}))
    command = (str(MLSERVER.with_name("mlserver")), "start", str(folder))
    return Launch(command, port, {"BENCH_MODEL": str(work.model), "PYTHONPATH": str(ROOT)})


def _watchgate(chain: str) -> Callable[[Workload, bool], Launch]:
    def launch(work: Workload, quick: bool) -> Launch:
        port = free_port()
        config = prepare(work, MODEL, chain, reuse=quick)
        service = "gateway.service:Gateway"
        command = (str(BIN / "bentoml"), "serve", service, "--host", "127.0.0.1", "--port", str(port))
        return Launch(command, port, {"WATCHGATE_CONFIG": str(config)})

    return launch


SYSTEMS = (
    System("bare", "bare ASGI + onnxruntime (the limit)", "bare", "/", RAW, _bare),
    *(
        System(name, f"watchgate, {chain.title}", name, INFER, OIP_BINARY, _watchgate(name))
        for name, chain in CHAINS.items()
    ),
    System("cheap-json", "watchgate, cheap chain, sent JSON", "cheap", INFER, OIP_JSON, _watchgate("cheap")),
    System("bentoml", "plain `@bentoml.api`", "bentoml", "/predict", ARRAYS, _plain_bentoml),
    System("mlserver", "MLServer (speaks only JSON over HTTP)", "mlserver", INFER, OIP_JSON, _mlserver),
)
