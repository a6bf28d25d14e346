"""What a worker knows from its start: budgets, what calibrate measured, which bundle and which release it serves."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from gateway.endpoint import Endpoint
from gateway.metrics.meter import Numbers, key


def facts(endpoint: Endpoint) -> Numbers:
    """An endpoint's gauges that never change while it is loaded. Budgets only where a chain keeps them."""
    own = {"endpoint": endpoint.name}
    budget = endpoint.config.budget
    found: Numbers = {
        key("watchgate_bundle_info", {**own, "version": endpoint.info.version, "mode": endpoint.config.mode}): 1
    }
    if not endpoint.chain.names:
        return found
    for action, share in (("flag", budget.flag), ("reject", budget.reject)):
        found[key("watchgate_budget_ratio", {**own, "action": action})] = share
    for action, share in endpoint.measured.items():
        found[key("watchgate_calibration_ratio", {**own, "action": action})] = share
    found[key("watchgate_calibration_rows", own)] = len(endpoint.chain.policy.calibrated)
    return found


def build() -> Numbers:
    """The release that serves."""
    return {key("watchgate_build_info", {"version": release()}): 1}


def release() -> str:
    """The installed version."""
    try:
        return version("watchgate")
    except PackageNotFoundError:  # run from a folder of source files, as in a bento
        return "source"
