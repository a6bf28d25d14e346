"""One row of one request as a page shows it: each stage's evidence, a series as lines, what followed what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from gateway.console.calibration import Calibration
from gateway.console.distribution import histogram
from gateway.console.svg import el, label, line, picture
from gateway.state.record import Number, Record, RowEvidence, StageEvidence
from gateway.telemetry.summary import score_text
from models.batch import Array

_CURL_VALUES = 4096
_SERIES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage's word on the row. `histogram` is there where the bundle that judged the row is still at hand."""

    name: str
    score: str
    flag: str
    reject: str
    p_value: Number
    took_ms: float
    remark: str
    decided: bool
    histogram: Markup | None


def stages_of(record: Record, row: RowEvidence, calibration: Calibration | None) -> list[StageView]:
    """The stages in order; with distributions if `calibration` is the one that judged the row."""
    index = record.row_evidence.index(row)
    tails = calibration.tails if calibration is not None and calibration.version == record.version else {}
    views = []
    for stage in record.stages:
        score, tail = stage.scores[index], tails.get(stage.name)
        drawn = None
        if tail is not None and score is not None:
            drawn = histogram(tail, stage.flag_score, stage.reject_score, score, stage.name)
        decided = stage.name == row.stage and row.verdict != "allow"
        views.append(
            StageView(
                stage.name,
                score_text(score),
                score_text(stage.flag_score),
                score_text(stage.reject_score),
                stage.p_values[index],
                stage.took_ms,
                _remark(stage, score, decided),
                decided,
                drawn,
            )
        )
    return views


def _remark(stage: StageEvidence, score: Number, decided: bool) -> str:
    if stage.error is not None:
        return stage.error
    if decided:
        return "decided"
    if score is None:
        return "not needed" if stage.conditional else "not reached"
    if stage.reject_score is not None and score >= stage.reject_score:
        return "would reject too"
    if stage.flag_score is not None and score >= stage.flag_score:
        return "would flag too"
    return "shadow: only watched" if stage.shadow else ""


def series(row: Array, purified: Array | None) -> Markup:
    """Each channel as a line over time; the purified one dashed. The longer axis is time."""
    channels = np.atleast_2d(np.nan_to_num(np.asarray(row, dtype=np.float64)))
    channels = channels.reshape(-1, channels.shape[-1])
    cleaned = (
        None if purified is None else np.nan_to_num(np.asarray(purified, dtype=np.float64)).reshape(channels.shape)
    )
    if channels.shape[0] > channels.shape[1]:
        channels, cleaned = channels.T, None if cleaned is None else cleaned.T
    channels = channels[:_SERIES_SHOWN]
    low, high = float(channels.min()), float(channels.max())
    width, height = 640.0, 180.0
    across = (width - 56) / max(channels.shape[1] - 1, 1)

    def path(values: Array) -> list[tuple[float, float]]:
        up = (np.clip(values, low, high) - low) / max(high - low, 1e-12)
        return [(48 + i * across, height - 20 - u * (height - 32)) for i, u in enumerate(up.tolist())]

    parts = [label(42, 16, f"{high:.3g}", "end"), label(42, height - 18, f"{low:.3g}", "end")]
    parts.append(el("line", x1=48.0, x2=width - 8, y1=height - 20, y2=height - 20, class_="axis"))
    if cleaned is not None:
        parts += [line(path(values), f"channel{i} cleaned") for i, values in enumerate(cleaned[:_SERIES_SHOWN])]
    parts += [line(path(values), f"channel{i}") for i, values in enumerate(channels)]
    parts += [label(48, height - 5, "0"), label(width - 8, height - 5, str(channels.shape[1] - 1), "end")]
    return picture(width, height, f"series of {channels.shape[0]} channels, {channels.shape[1]} steps", *parts)


def spans(record: Record) -> list[tuple[str, float, float, Markup]]:
    """Name, start and duration in milliseconds, and a bar, of the request and of its stages."""
    whole = max(record.took_ms, 1e-6)
    found = [("request", 0.0, record.took_ms)]
    found += [(stage.name, (stage.started_ns - record.started_ns) / 1e6, stage.took_ms) for stage in record.stages]
    views = []
    for index, (name, start, took) in enumerate(found):
        x = 100 * min(max(start / whole, 0.0), 1.0)
        width = max(min(100 * took / whole, 100 - x), 0.6)
        bar = el("rect", x=min(x, 99.4), y=1, width=width, height=8, class_="span" if index else "span root")
        shown = el("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", class_="gantt", aria_hidden="true")
        views.append((name, start, took, shown))
    return views


def curl(record: Record, rows: Array, url: str) -> str | None:
    """A command that sends these rows again; None where they are too many values to paste."""
    if rows.size > _CURL_VALUES or rows.dtype.kind not in "fiub":
        return None
    body = json.dumps({"x": _listed(rows), "endpoint": record.endpoint}, separators=(",", ":"))
    return f"curl -s {url}/predict -H 'content-type: application/json' -d '{body}'"


def _listed(rows: Array) -> Any:
    """Nested lists with the shortest spelling of every value; what JSON has no number for becomes null."""
    if rows.dtype.kind != "f":
        return rows.tolist()
    spelled = [float(np.format_float_positional(value)) for value in rows.ravel()]
    flat: Any = np.array([value if np.isfinite(value) else None for value in spelled], dtype=object)
    return flat.reshape(rows.shape).tolist()
