"""Traces as files: pictures and arrays of one, flagged rows of many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.cli.since import iso
from gateway.errors import OperatorError
from gateway.state.record import Record, RowEvidence, Trace
from gateway.state.store import Filter, StateStore
from gateway.telemetry.pictures import draw, draw_difference, is_image
from models.batch import Array


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One captured row and the record it belongs to."""

    record: Record
    evidence: RowEvidence
    x: Array
    purified: Array | None

    def facts(self) -> dict[str, Any]:
        """What an export says of it, beside its values."""
        row, record = self.evidence, self.record
        return {
            "id": record.id,
            "row": row.row,
            "time": iso(record.started_ns),
            "endpoint": record.endpoint,
            "verdict": row.verdict,
            "stage": row.stage or "",
            "p_value": float("nan") if row.p_value is None else row.p_value,
            "label": -1 if row.before is None or row.before.label is None else row.before.label,
            "principal": record.principal,
        }


def save_trace(store: StateStore, trace: Trace, folder: Path) -> list[Path]:
    """Writes what is kept of a trace's rows: PNG files where they are images, and one `.npz`.

    Raises:
        OperatorError: its rows are not kept, or the folder can't be written.
    """
    record = trace.record
    arrays = store.arrays(record.id)
    if "input" not in arrays:
        raise OperatorError(f"trace {record.id[:8]}: its rows are not kept ({trace.payload})")
    facts = (store.chain(record.endpoint, record.version) or {}).get("input") or {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved = [folder / f"{record.id[:8]}.npz"]
        np.savez_compressed(saved[0], row=np.array(record.captured), **arrays)
        if is_image(facts):
            for row in _rows_of(record, arrays):
                saved += _save_pictures(row, facts, folder / f"{record.id[:8]}-row{row.evidence.row}")
    except OSError as exc:
        raise OperatorError(f"{folder}: {exc.strerror or exc}") from None
    return saved


def _save_pictures(row: KeptRow, facts: Mapping[str, Any], stem: Path) -> list[Path]:
    pictures = {"input": draw(row.x, facts)}
    if row.purified is not None:
        pictures["purified"] = draw(row.purified, facts)
        pictures["difference"] = draw_difference(row.x, row.purified, facts)
    saved = []
    for name, picture in pictures.items():
        saved.append(stem.with_name(f"{stem.name}-{name}.png"))
        picture.save(saved[-1])
    return saved


def kept_rows(store: StateStore, wanted: Filter, limit: int | None) -> Iterator[KeptRow]:
    """The captured rows of up to `limit` matching traces, newest first."""
    for number, trace in enumerate(store.walk(wanted)):
        if limit is not None and number >= limit:
            return
        arrays = store.arrays(trace.record.id)
        if "input" in arrays:
            yield from _rows_of(trace.record, arrays)


def _rows_of(record: Record, arrays: Mapping[str, Array]) -> Iterator[KeptRow]:
    evidence = {row.row: row for row in record.row_evidence}
    purified = arrays.get("purified")
    for index, row in enumerate(record.captured):
        changed = None if purified is None or evidence[row].after is None else purified[index]
        yield KeptRow(record, evidence[row], arrays["input"][index], changed)


def export_jsonl(rows: Iterator[KeptRow], file: Path) -> int:
    """One JSON object a row. Returns how many.

    Raises:
        OperatorError: the file can't be written.
    """
    count = 0
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            for row in rows:
                purified = None if row.purified is None else _listed(row.purified)
                out.write(json.dumps({**_finite(row.facts()), "x": _listed(row.x), "purified": purified}) + "\n")
                count += 1
        part.replace(file)
    except OSError as exc:
        raise OperatorError(f"{file}: {exc.strerror or exc}") from None
    return count


def export_npz(rows: Iterator[KeptRow], file: Path) -> int:
    """Columns `x`, `purified` (equal to `x` where nothing was purified) and one array a fact. Returns how many rows.

    Raises:
        OperatorError: the rows differ in shape, or the file can't be written.
    """
    kept = list(rows)
    kinds = {(row.x.shape, row.x.dtype.str) for row in kept}
    if len(kinds) > 1:
        raise OperatorError(
            "--endpoint: rows of several shapes can't share one .npz; name an endpoint, or write .jsonl"
        )
    columns = {name: np.array([row.facts()[name] for row in kept]) for name in (kept[0].facts() if kept else ())}
    if kept:
        columns["x"] = np.stack([row.x for row in kept])
        columns["purified"] = np.stack([row.x if row.purified is None else row.purified for row in kept])
    part = file.with_name(file.name + ".part")
    try:
        with part.open("wb") as out:
            np.savez_compressed(out, **columns)
        part.replace(file)
    except OSError as exc:
        raise OperatorError(f"{file}: {exc.strerror or exc}") from None
    return len(kept)


def _listed(row: Array) -> Any:
    """Nested lists, null for what is not a number."""
    return row.tolist() if row.dtype.kind != "f" or np.isfinite(row).all() else _nulls(row.tolist())


def _nulls(values: Any) -> Any:
    if isinstance(values, list):
        return [_nulls(value) for value in values]
    return values if values - values == 0.0 else None


def _finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in facts.items()}
