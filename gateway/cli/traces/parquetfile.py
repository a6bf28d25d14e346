"""Rows of traces as a Parquet file: one row a row that was judged, one column a fact, a stage's score or a value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import OperatorError
from gateway.state.record import Record, RowEvidence
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Filter
from models.batch import Array

_GROUP = 10_000  # rows a row group


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row of one request; `x` and `purified` where they are kept."""

    record: Record
    evidence: RowEvidence
    index: int
    x: Array | None
    purified: Array | None


def judged_rows(store: SqliteStore, wanted: Filter, limit: int | None, *, window: bool) -> Iterator[JudgedRow]:
    """The kept rows of up to `limit` matching traces, newest first; with `window` all that have evidence."""
    for number, trace in enumerate(store.walk(wanted)):
        if limit is not None and number >= limit:
            return
        record, arrays = trace.record, store.arrays(trace.record.id)
        where = {row: index for index, row in enumerate(record.captured)} if "input" in arrays else {}
        for index, evidence in enumerate(record.row_evidence):
            at = where.get(evidence.row)
            x = None if at is None else arrays["input"][at]
            pure = arrays["purified"][at] if "purified" in arrays and at is not None and evidence.after else None
            if window or x is not None:
                yield JudgedRow(record, evidence, index, x, pure)


def export_parquet(rows: Sequence[JudgedRow], inputs: Mapping[tuple[str, str], Mapping[str, Any]], file: Path) -> int:
    """Writes the rows. `inputs` says by endpoint and chain version what a store knows of the input. Returns how many.

    Raises:
        OperatorError: pyarrow is not installed, the rows differ in shape, or the file can't be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise OperatorError(f"Parquet needs pyarrow: pip install 'watchgate[parquet]' ({exc})") from None
    facts = _input_of(rows, inputs)
    columns = {name: pa.array(values) for name, values in _facts(rows).items()}
    columns["time"] = pa.array([row.record.started_ns // 1000 for row in rows], pa.timestamp("us", tz="UTC"))
    for name, numbers in {**_evidence(rows), **_values(rows, facts, set(columns))}.items():
        kind = pa.list_(pa.float64()) if name in ("x", "purified") else pa.float64()
        columns[name] = pa.array(numbers, kind)
    table = pa.table(columns).replace_schema_metadata({"watchgate.input": json.dumps(dict(facts))})
    part = file.with_name(file.name + ".part")
    try:
        pq.write_table(table, part, row_group_size=_GROUP)
        part.replace(file)
    except OSError as exc:
        raise OperatorError(f"{file}: {exc.strerror or exc}") from None
    return len(rows)


def _input_of(rows: Sequence[JudgedRow], inputs: Mapping[tuple[str, str], Mapping[str, Any]]) -> Mapping[str, Any]:
    kinds = {(row.x.shape, row.x.dtype.str) for row in rows if row.x is not None}
    if len(kinds) > 1:
        raise OperatorError("--endpoint: rows of several shapes can't share one .parquet: name an endpoint")
    known = [inputs.get((row.record.endpoint, row.record.version)) for row in rows]
    return next((facts for facts in known if facts), {})


def _facts(rows: Sequence[JudgedRow]) -> dict[str, list[Any]]:
    """Columns that every file has. The time is put in their place by the caller."""
    return {
        "id": [row.record.id for row in rows],
        "row": [row.evidence.row for row in rows],
        "time": [row.record.started_ns for row in rows],
        "endpoint": [row.record.endpoint for row in rows],
        "version": [row.record.version for row in rows],
        "principal": [row.record.principal for row in rows],
        "verdict": [row.evidence.verdict for row in rows],
        "action": [row.evidence.action for row in rows],
        "stage": [row.evidence.stage or "" for row in rows],
        "label": [_label(row.evidence.before) for row in rows],
        "purified_label": [_label(row.evidence.after) for row in rows],
    }


def _label(answer: Any) -> int:
    """-1 where the model gave no class: an integer column needs some number."""
    return -1 if answer is None or answer.label is None else int(answer.label)


def _evidence(rows: Sequence[JudgedRow]) -> dict[str, list[float | None]]:
    """Numbers of the chain and of each stage that any of the records has."""
    names = dict.fromkeys(stage.name for row in rows for stage in row.record.stages)
    found: dict[str, list[float | None]] = {
        "p_value": [row.evidence.p_value for row in rows],
        "probability": [None if row.evidence.before is None else row.evidence.before.probability for row in rows],
    }
    for name in names:
        stages = [next((stage for stage in row.record.stages if stage.name == name), None) for row in rows]
        pairs = list(zip(rows, stages, strict=True))
        found[f"score_{name}"] = [None if stage is None else stage.scores[row.index] for row, stage in pairs]
        found[f"p_{name}"] = [None if stage is None else stage.p_values[row.index] for row, stage in pairs]
    return found


def _values(rows: Sequence[JudgedRow], facts: Mapping[str, Any], taken: set[str]) -> dict[str, list[Any]]:
    """A column for each of a table's columns; else `x` and `purified`, flat lists in C order."""
    first = next((row.x for row in rows if row.x is not None), None)
    if first is None or first.dtype.kind not in "fiub":
        return {}
    flat = [(_flat(row.x), _flat(row.purified)) for row in rows]
    if facts.get("kind") != "table":
        return {"x": [x for x, _ in flat], "purified": [pure for _, pure in flat]}
    names = facts.get("columns") or [f"x{i}" for i in range(first.size)]
    found: dict[str, list[Any]] = {}
    for i, name in enumerate(names):
        column = str(name) if str(name) not in taken else f"x_{name}"
        found[column] = [None if x is None else x[i] for x, _ in flat]
    if any(pure is not None for _, pure in flat):
        found |= {
            f"purified_{name}": [None if pure is None else pure[i] for _, pure in flat] for i, name in enumerate(names)
        }
    return found


def _flat(row: Array | None) -> list[float] | None:
    return None if row is None else np.asarray(row, np.float64).ravel().tolist()
