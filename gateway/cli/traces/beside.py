"""What the console shows beside a row, for programs: the deciding stage in words, nearest reference rows, values."""

from __future__ import annotations

from typing import Any

from gateway.config import Config
from gateway.console.calibration import read_calibration
from gateway.console.values import values_of
from gateway.explaining.words import deciding
from gateway.state.record import Record, RowEvidence
from gateway.state.sqlite import SqliteStore

_NEAR = 4


def beside(config: Config, store: SqliteStore, record: Record, row: RowEvidence | None) -> dict[str, Any]:
    """Of one row: `decided_by` in words, `nearest` rows of the reference, and of a table its `values`."""
    found: dict[str, Any] = {"decided_by": None, "nearest": [], "values": []}
    if row is None:
        return found
    calibration = read_calibration(config.bundle, record.endpoint)
    found["decided_by"] = deciding(row, {} if calibration is None else calibration.kinds)
    arrays = store.arrays(record.id)
    if "input" not in arrays or row.row not in record.captured:
        return found
    index = record.captured.index(row.row)
    x, purified = arrays["input"][index], arrays.get("purified") if row.after is not None else None
    if calibration is not None and calibration.sample is not None:
        found["nearest"] = [
            {"row": one.row, "label": one.label, "distance": one.distance}
            for one in calibration.sample.nearest(x, _NEAR)
        ]
    facts = (store.chain(record.endpoint, record.version) or {}).get("input") or {}
    if facts.get("kind") == "table" and x.dtype.kind in "fiub":
        same = calibration if calibration is not None and calibration.version == record.version else None
        views = values_of(x, None if purified is None else purified[index], facts, same)
        names = ("name", "value", "purified", "low", "high", "usual", "off")
        found["values"] = [{name: getattr(view, name) for name in names} for view in views]
    return found
