"""A bundle's manifest: all that `serve` needs to know beside arrays, and what the bundle was made of."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from gateway.config import Config, EndpointConfig
from gateway.training.bundle import FORMAT, Draft, sha256, version_of
from gateway.training.fitted import FittedChain
from gateway.training.loading import calibrated_part
from gateway.training.prepare import Prepared

_PACKAGES = ("watchgate", "numpy", "scipy", "onnx", "onnxruntime", "torch")


def manifest_of(
    config: Config,
    name: str,
    settings: EndpointConfig,
    prepared: Prepared,
    fitted: FittedChain,
    draft: Draft,
) -> dict[str, Any]:
    """Of the files in the draft so far; `settings` are the endpoint's as `serve` will have them."""
    cuts = None if fitted.flag is None else {"flag": fitted.policy.flag_cut, "reject": fitted.policy.reject_cut}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "endpoint": name,
        "files": draft.files,
        "model": prepared.spec.model_dump(mode="json"),
        "calibrated": calibrated_part(settings, config.bundle.parent),
        "shadow": [stage.config.name for stage in fitted.stages if stage.config.mode == "shadow"],
        "cuts": cuts,
        "guarantees": {
            which: None if cut is None else asdict(cut)
            for which, cut in (("flag", fitted.flag), ("reject", fitted.reject))
        },
        "source": sha256(settings.model.path),
        "data": prepared.digests,
        "packages": _packages(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if settings.selects:
        manifest["selected"] = [stage.config.model_dump(mode="json") for stage in fitted.stages]
    return {**manifest, "version": version_of(manifest)}


def _packages() -> dict[str, str]:
    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return {package: installed[package] for package in _PACKAGES if package in installed}
