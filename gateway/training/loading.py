"""From bundles to endpoints that can serve: verified, and calibrated for the config at hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from detectors.base import Unsuitable
from gateway import smoothing
from gateway.chain import Chain, PurifyStep, Stage
from gateway.config import Config, EndpointConfig, StageConfig
from gateway.disclosure import Disclosure
from gateway.endpoint import Endpoint
from gateway.errors import BundleError, OperatorError
from gateway.policy import OPEN, Policy
from gateway.telemetry.observation import ChainInfo, StageInfo
from gateway.training import drift, labels, queries
from gateway.training.bundle import RETRY, Bundle, sha256
from models.backend import ModelBackend
from models.errors import ModelError
from models.specs import AnyModelSpec, ModelSpec, load_model

_CALIBRATED = ("reference", "holdout", "group", "budget", "seed")
_RUNTIME_STAGE = {"mode", "on_error", "timeout_ms", "trust"}
_RUNTIME_MODEL = {"threads", "providers"}


def load_endpoints(config: Config) -> dict[str, Endpoint]:
    """Every endpoint of the config, from its bundle. Neither the model's file nor any data need be there.

    Raises:
        BundleError: a bundle is missing or altered, or was calibrated for another model, data, chain or budget.
    """
    return {name: _load(name, endpoint, config) for name, endpoint in config.endpoints.items()}


def load_endpoint(config: Config, name: str) -> Endpoint:
    """One endpoint of the config, as `load_endpoints` does."""
    return _load(name, config.endpoints[name], config)


def calibrated_part(endpoint: EndpointConfig, base: Path) -> dict[str, Any]:
    """What of the config `calibrate` used, as plain values; paths are relative to `base`."""
    dumped = endpoint.model_dump(mode="json")
    part = {key: dumped[key] for key in _CALIBRATED}
    part["model"] = {key: value for key, value in dumped["model"].items() if key not in _RUNTIME_MODEL}
    part["chain"] = [_stage_part(stage, base) for stage in endpoint.chain]
    if endpoint.selects:
        part["chain"] = "auto"
    if endpoint.cost is not None:
        part["cost"] = endpoint.cost
    part["purify"] = dumped["purify"]
    for holder, key in ((part, "reference"), (part, "holdout"), (part["model"], "path")):
        if holder[key] is not None:
            holder[key] = _relative(holder[key], base)
    factory = part["model"].get("factory") or ""
    if ".py:" in factory:
        file, _, name = factory.rpartition(":")
        part["model"]["factory"] = f"{_relative(file, base)}:{name}"
    return part


def _stage_part(stage: StageConfig, base: Path) -> dict[str, Any]:
    part = stage.model_dump(mode="json", exclude=_RUNTIME_STAGE)
    for detector in (part["detector"], *(part["detector"].get("evidence") or ())):
        if detector["kind"] == "onnx":
            detector["path"] = _relative(detector["path"], base)
    code = stage.detector.code()
    return {**part, "code": dict(code)} if code else part


def with_stages(endpoint: EndpointConfig, manifest: Mapping[str, Any]) -> EndpointConfig:
    """The endpoint with the stages that calibrate chose, where its config leaves that open."""
    if not endpoint.selects:
        return endpoint
    stages = tuple(StageConfig.model_validate(stage) for stage in manifest["selected"])
    return endpoint.model_copy(update={"chain": stages})


def stage_info(stage: Stage, policy: Policy) -> StageInfo:
    """The cuts in units of the stage's own score."""
    flag, reject = (stage.tail.inverse(cut * stage.weight) for cut in (policy.flag_cut, policy.reject_cut))
    return StageInfo(stage.name, flag, reject, stage.shadow, stage.gate is not None)


def _load(name: str, endpoint: EndpointConfig, config: Config) -> Endpoint:
    bundle = Bundle.open(config.bundle, name)
    manifest = bundle.manifest
    _refuse_changed(name, endpoint, config, manifest)
    endpoint = with_stages(endpoint, manifest)
    backend = _backend(bundle, endpoint)
    cuts = manifest["cuts"]
    shadow = endpoint.mode == "shadow"
    policy = OPEN
    if cuts is not None:
        policy = Policy(cuts["flag"], cuts["reject"], bundle.arrays("calibrated.npz")["statistic"], shadow)
    stages = tuple(_stage(index, stage, bundle, backend) for index, stage in enumerate(endpoint.chain))
    steps = tuple(
        PurifyStep(
            step.purifier.build(backend.spec, bundle.arrays(f"purifier-{index}.npz")),
            step.when == "always",
        )
        for index, step in enumerate(endpoint.purify)
    )
    chain = Chain(backend, stages, policy, steps, manifest["version"])
    info = ChainInfo(
        endpoint=name,
        version=manifest["version"],
        mode=endpoint.mode,
        flag_cut=policy.flag_cut,
        reject_cut=policy.reject_cut,
        stages=tuple(stage_info(stage, policy) for stage in stages),
        backend_kind=endpoint.model.kind,
        input=backend.spec,
        explain={stage.name: say for stage in stages if callable(say := getattr(stage.detector, "explain", None))},
    )
    _refuse_unsmooth(name, endpoint, _resolved(bundle), backend)
    spec = _resolved(bundle)
    told, coarse = _disclosure(name, endpoint, spec, backend), queries.coarse(name, endpoint, spec, backend)
    likeness, monitor = queries.load(name, endpoint, bundle, backend.spec), drift.load(name, endpoint, bundle)
    spread, errors = queries.load_spread(endpoint, bundle), labels.load(name, endpoint, bundle)
    return Endpoint(name, endpoint, chain, info, told, coarse, likeness, monitor, _measured(manifest), spread, errors)


def _measured(manifest: Mapping[str, Any]) -> Mapping[str, float]:
    report = manifest.get("report", {})
    return {which: report[which]["rate"] for which in ("flag", "reject") if report.get(which) is not None}


def _resolved(bundle: Bundle) -> ModelSpec:
    spec: ModelSpec = TypeAdapter(AnyModelSpec).validate_python(bundle.manifest["model"])
    return spec


def _disclosure(name: str, endpoint: EndpointConfig, spec: ModelSpec, backend: ModelBackend) -> Disclosure | None:
    try:
        return Disclosure.of(endpoint.answers, spec.outputs, backend.outputs)
    except OperatorError as error:
        raise OperatorError(f"endpoints.{name}.{error}") from None


def _refuse_unsmooth(name: str, endpoint: EndpointConfig, spec: ModelSpec, backend: ModelBackend) -> None:
    try:
        if endpoint.smoothing is not None:
            smoothing.refuse_unsuitable(backend.spec, spec.outputs)
    except OperatorError as error:
        raise OperatorError(f"endpoints.{name}.{error}") from None


def _backend(bundle: Bundle, endpoint: EndpointConfig) -> ModelBackend:
    resolved = _resolved(bundle)
    runtime = {key: getattr(endpoint.model, key) for key in _RUNTIME_MODEL}
    try:
        return load_model(resolved.model_copy(update=runtime), bundle.folder)
    except ModelError as error:
        raise BundleError(f"{bundle.folder}: {error}") from error


def _stage(index: int, config: StageConfig, bundle: Bundle, backend: ModelBackend) -> Stage:
    learned, tail, gate = bundle.stage(index)
    try:
        detector = config.detector.build(learned, backend.spec)
    except Unsuitable as error:
        raise BundleError(f"{bundle.folder}: stage {config.name!r}: {error}; {RETRY}") from error
    return Stage(
        config.name,
        detector,
        tail,
        config.weight,
        gate,
        config.mode == "shadow",
        config.on_error,
        config.timeout_ms,
    )


def _refuse_changed(name: str, endpoint: EndpointConfig, config: Config, manifest: Mapping[str, Any]) -> None:
    """Settings that change no verdict's meaning may change; a shadow stage that is to decide needs new cuts."""
    where = f"endpoints.{name}"
    _refuse_untrusted(where, endpoint)
    try:
        now = calibrated_part(endpoint, config.bundle.parent)
    except Unsuitable as error:
        raise BundleError(f"{where}.chain: {error}") from error
    change = _difference(manifest["calibrated"], now, where)
    if change is not None:
        raise BundleError(f"the config changed since calibrate: {change}; {RETRY}")
    for index, stage in enumerate(endpoint.chain):
        if stage.mode == "enforce" and stage.name in manifest["shadow"]:
            key = f"{where}.chain[{index}].mode"
            raise BundleError(f"the config changed since calibrate: {key} is enforce, was shadow; {RETRY}")
    model = endpoint.model.path
    if model.is_file() and sha256(model) != manifest["source"]:
        raise BundleError(f"{model}: changed since calibrate ({where}.model.path); {RETRY}")


def _refuse_untrusted(where: str, endpoint: EndpointConfig) -> None:
    """Code that the bundle doesn't hold is run only where the config says so."""
    for index, stage in enumerate(endpoint.chain):
        code = () if stage.trust else _code(where, stage)
        if code:
            raise BundleError(
                f"{where}.chain[{index}] ({stage.name}): scores rows with code that the bundle does not hold "
                f"({', '.join(code)}); to have `serve` run it, say `trust: true` there"
            )


def _code(where: str, stage: StageConfig) -> Mapping[str, str]:
    try:
        return stage.detector.code()
    except Unsuitable as error:
        raise BundleError(f"{where}.chain ({stage.name}): {error}") from error


def _difference(was: Any, now: Any, where: str) -> str | None:
    """The first place where two plain values differ, and both values there."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            if key not in was or key not in now:
                return f"{where}.{key} is {now.get(key)!r}, was {was.get(key)!r}"
            if (found := _difference(was[key], now[key], f"{where}.{key}")) is not None:
                return found
        return None
    if isinstance(was, list) and isinstance(now, list):
        for index, (old, new) in enumerate(zip(was, now, strict=False)):
            if (found := _difference(old, new, f"{where}[{index}]")) is not None:
                return found
        return None if len(was) == len(now) else f"{where} has {len(now)} entries, had {len(was)}"
    return None if was == now else f"{where} is {now!r}, was {was!r}"


def _relative(path: str, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
