"""What a worker says of itself from its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.metrics.facts import build, facts, release
from gateway.metrics.meter import added, key
from tests import served


def test_an_endpoint_tells_its_budget_its_measured_shares_and_its_bundle(tmp_path: Path) -> None:
    spec, backend = served.table_model(tmp_path)
    chain = served.guarded(backend)
    made = served.endpoint("m", (spec, backend), chain, budget={"flag": 0.04, "reject": 0.02}, mode="shadow")
    found = facts(replace(made, measured={"flag": 0.03, "reject": 0.01}))
    assert found == {
        key("watchgate_bundle_info", {"endpoint": "m", "version": served.VERSION, "mode": "shadow"}): 1,
        key("watchgate_budget_ratio", {"endpoint": "m", "action": "flag"}): 0.04,
        key("watchgate_budget_ratio", {"endpoint": "m", "action": "reject"}): 0.02,
        key("watchgate_calibration_ratio", {"endpoint": "m", "action": "flag"}): 0.03,
        key("watchgate_calibration_ratio", {"endpoint": "m", "action": "reject"}): 0.01,
        key("watchgate_calibration_rows", {"endpoint": "m"}): 500,
    }


def test_an_endpoint_without_a_chain_has_no_budget(tmp_path: Path) -> None:
    found = facts(served.endpoint("m", served.table_model(tmp_path)))
    assert [name for name, _ in found] == ["watchgate_bundle_info"]


def test_workers_don_t_add_them_up() -> None:
    budget = key("watchgate_budget_ratio", {"endpoint": "m", "action": "flag"})
    written, waiting = (
        key("watchgate_store_last_write_timestamp_seconds", {}),
        key("watchgate_store_waiting_records", {}),
    )
    one, two = ({budget: 0.05, written: at, waiting: 2, **build()} for at in (70, 50))
    release_info = key("watchgate_build_info", {"version": release()})
    assert added([one, two]) == {budget: 0.05, written: 70, waiting: 4, release_info: 1}
