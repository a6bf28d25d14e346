"""Observations as the gateway makes them: a small real chain over rows that are honest, odd or wild."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from detectors.base import View
from detectors.calibration import Gate, TailMap
from gateway.chain import Chain, PurifyStep, Stage, StageFailed, collect
from gateway.policy import Policy
from gateway.telemetry.observation import ChainInfo, Observation, StageInfo
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, Bounds, InputSpec

SHAPE = (1, 4, 4)
SPEC = InputSpec("image", np.dtype("float32"), SHAPE, Bounds(0.0, 1.0), "NCHW")
NOT_SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


class Linear:
    """Three classes from sixteen pixels."""

    spec = SPEC
    inputs = (TensorSpec("x", "FP32", (-1, *SHAPE)),)
    outputs = (TensorSpec("logits", "FP32", (-1, 3)),)

    def __init__(self) -> None:
        self._weights = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        logits = np.asarray(batch.x.reshape(len(batch), -1) @ self._weights, dtype=np.float32)
        return Outputs({"logits": logits}, logits, None)


@dataclass(frozen=True)
class Brightness:
    """Distance of a row's mean from gray."""

    name: str = "brightness"

    def score(self, view: View) -> Array:
        return np.asarray(np.abs(view.x.reshape(len(view), -1).mean(axis=1) - 0.5), dtype=np.float32)


@dataclass(frozen=True)
class Margin:
    """How close the two best classes are."""

    name: str = "margin"

    def score(self, view: View) -> Array:
        logits = view.outputs.logits
        assert logits is not None
        best = np.sort(logits, axis=1)
        return np.asarray(best[:, -2] - best[:, -1], dtype=np.float32)


@dataclass(frozen=True)
class Broken:
    """Raises on every batch."""

    name: str = "broken"

    def score(self, view: View) -> Array:
        raise RuntimeError("no evidence today")


@dataclass(frozen=True)
class Gray:
    """Halves the contrast."""

    name: str = "gray"

    def apply(self, x: Array) -> Array:
        return np.asarray(x * 0.5 + 0.25, dtype=x.dtype)


def honest(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0.3, 0.7, size=(n, *SHAPE)).astype(np.float32)


def wild(n: int) -> Array:
    """Rows that are rejected: nearly white."""
    return np.full((n, *SHAPE), 0.99, dtype=np.float32)


def odd(n: int) -> Array:
    """Rows that are flagged: brighter than honest ones."""
    return np.full((n, *SHAPE), 0.6, dtype=np.float32)


def typical(n: int) -> Array:
    """Rows that are surely allowed."""
    return np.tile(np.linspace(0.3, 0.7, 16, dtype=np.float32).reshape(1, *SHAPE), (n, 1, 1, 1))


@cache
def chain(*, shadow: bool = False) -> Chain:
    """Brightness on every row, margin on suspicious ones, gray for what is flagged."""
    backend = Linear()
    view = View(Batch(honest(2000)), backend)
    brightness = Stage("brightness", Brightness(), TailMap.fit(Brightness().score(view)))
    cheap = collect((brightness,), view)
    gate = Gate(0.0, float(np.quantile(cheap.statistic, 0.2)))
    margin = Stage("margin", Margin(), TailMap.fit(Margin().score(view), share=0.2), gate=gate)
    policy = Policy(flag_cut=1e-2, reject_cut=1e-6, calibrated=np.sort(cheap.statistic), shadow=shadow)
    return Chain(backend, (brightness, margin), policy, (PurifyStep(Gray()),), version="a" * 64)


def info(endpoint: str = "digits", *, shadow: bool = False) -> ChainInfo:
    parts = chain(shadow=shadow)
    stages = tuple(
        StageInfo(
            stage.name,
            stage.tail.inverse(parts.policy.flag_cut),
            stage.tail.inverse(parts.policy.reject_cut),
            conditional=stage.gate is not None,
        )
        for stage in parts.stages
    )
    mode = "shadow" if shadow else "enforce"
    return ChainInfo(
        endpoint, parts.version, mode, parts.policy.flag_cut, parts.policy.reject_cut, stages, "numpy", SPEC
    )


def observe(
    x: Array,
    *,
    principal: str = "192.0.2.7",
    endpoint: str = "digits",
    shadow: bool = False,
    started_ns: int | None = None,
    traceparent: str | None = None,
) -> Observation:
    """The observation of one request with these rows."""
    started = time.time_ns() if started_ns is None else started_ns
    judged = chain(shadow=shadow).run(Batch(x.copy()))
    return Observation(
        secrets.token_hex(16),
        info(endpoint, shadow=shadow),
        started,
        started + 2_000_000,
        principal,
        f"/v2/models/{endpoint}/infer",
        403 if judged.outputs is None else 200,
        judged,
        traceparent=traceparent,
        user_agent="tests/1.0",
        body_bytes=x.nbytes,
    )


def failed(*, principal: str = "192.0.2.7") -> Observation:
    """The observation of a request whose enforcing stage raised."""
    broken = Stage("broken", Broken(), TailMap.fit(np.arange(10.0)))
    start = time.time_ns()
    try:
        replace(chain(), stages=(broken,)).run(Batch(typical(1)))
    except StageFailed as exc:
        text = str(exc)
    facts = replace(info(), stages=(StageInfo("broken", 1.0, 2.0),))
    route = "/v2/models/digits/infer"
    return Observation(secrets.token_hex(16), facts, start, start + 1_000_000, principal, route, 503, None, error=text)
