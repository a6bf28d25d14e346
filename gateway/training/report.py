"""What `calibrate` found, for people (a table) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.telemetry.observation import StageInfo
from gateway.training.measuring import Measured, PurifierMeasure, Rate, StageMeasure
from gateway.training.selecting import Selection


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage: what it is, its thresholds in its own score, and what it did to the check rows."""

    info: StageInfo
    kind: str
    when: str
    measured: StageMeasure
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One calibrated endpoint. `rows` is how many of each part there were; `warnings` want somebody's attention.

    `limit` is the most forward passes a row that were asked for; `selection` the choice of stages, if there was one.
    """

    endpoint: str
    version: str
    bundle: str
    guarantee: str
    rows: dict[str, int]
    stages: tuple[StageReport, ...]
    measured: Measured
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    limit: float | None = None
    selection: Selection | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite threshold (never reached, or always) is null."""
        return {
            "endpoint": self.endpoint,
            "version": self.version,
            "bundle": self.bundle,
            "guarantee": self.guarantee,
            "rows": dict(self.rows),
            "stages": [_stage_json(stage) for stage in self.stages],
            "flag": _rate_json(self.measured.flag),
            "reject": _rate_json(self.measured.reject),
            "passes_per_row": self.measured.passes,
            "passes_limit": self.limit,
            "selection": None if self.selection is None else self.selection.to_json(),
            "accuracy": self.measured.accuracy,
            "purifiers": [_purifier_json(purifier) for purifier in self.measured.purifiers],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def table(self) -> RenderableType:
        """What a terminal shows, 80 columns wide."""
        parts: list[RenderableType] = [Text(f"warning: {warning}", style="bold yellow") for warning in self.warnings]
        if self.selection is not None and self.selection.pareto is not None:
            parts.append(self.selection.pareto.table())
        if self.stages:
            parts += [self._stage_table(), self._rate_table()]
        parts += [Text(line) for line in self._lines()]
        parts += [Text(f"note: {note}", style="dim") for note in self.notes]
        parts += [Text(f"note: {_told_by(s.info.name, note)}", style="dim") for s in self.stages for note in s.notes]
        return Group(*parts)

    def _stage_table(self) -> Table:
        table = Table(
            title=f"{self.endpoint}: each stage alone, on {self.measured.rows} check rows",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1),
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("stage", overflow="fold")
        for heading in ("runs on", "flag at", "reject at", "flags", "rejects", "µs/row"):
            table.add_column(heading, justify="right", no_wrap=True)
        for stage in self.stages:
            m = stage.measured
            name = stage.info.name + (" (shadow)" if stage.info.shadow else "")
            table.add_row(
                name if stage.kind == stage.info.name else f"{name}: {stage.kind}",
                _percent(m.ran),
                f"{stage.info.flag_score:.4g}",
                f"{stage.info.reject_score:.4g}",
                _percent(m.flags),
                _percent(m.rejects),
                f"{m.row_us:.0f}" if m.row_us >= 100 else f"{m.row_us:.3g}",
            )
        return table

    def _rate_table(self) -> Table:
        """The promise (the guarantee that the cuts keep is starred) and the measurement."""
        rates = [rate for rate in (self.measured.flag, self.measured.reject) if rate is not None]
        table = Table(
            title="the whole chain", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False
        )
        for heading in ("honest rows", "flagged", "rejected"):
            table.add_column(heading, justify="left" if heading == "honest rows" else "right", no_wrap=True)
        star = {guarantee: "*" if guarantee == self.guarantee else "" for guarantee in ("average", "set")}
        lines: list[tuple[str, Callable[[Rate], str]]] = [
            ("budget", lambda rate: _percent(rate.cut.budget)),
            (
                f"promised on average over calibrations{star['average']}",
                lambda rate: f"≤ {_percent(rate.cut.mean_rate)}",
            ),
            (f"promised for this one, 95 % sure{star['set']}", lambda rate: f"≤ {_percent(rate.cut.upper_rate)}"),
            (f"measured on {self.measured.rows} check rows", lambda rate: f"{_percent(rate.rate)} ({rate.hits})"),
            ("95 % interval", lambda rate: f"{100 * rate.interval[0]:.2f}-{_percent(rate.interval[1])}"),
            ("rows to be expected", lambda rate: "{}-{}".format(*rate.predicted)),
        ]
        for name, show in lines:
            table.add_row(name, *(show(rate) for rate in rates))
        return table

    def _lines(self) -> list[str]:
        measured = self.measured
        limit = "" if self.limit is None else f" measured on check rows, {self.limit:g} allowed"
        lines = [f"forward passes a row: {measured.passes:.2f}{limit}"]
        if measured.accuracy is not None:
            lines.append(f"accuracy of the model on check rows: {_percent(measured.accuracy)}")
        lines += [_purifier_line(purifier) for purifier in measured.purifiers]
        for what, rate in (("flagged", measured.flag), ("rejected", measured.reject)):
            if rate is not None and not rate.as_predicted:
                lines.append(f"more honest rows {what} than expected: are rows alike in groups (`group`)?")
        rows = ", ".join(f"{count} {part}" for part, count in self.rows.items())
        return [*lines, f"rows: {rows}", f"bundle: {self.bundle} (version {self.version})"]


def _told_by(stage: str, note: str) -> str:
    return note if note.startswith(f"{stage}:") else f"{stage}: {note}"


def _purifier_line(purifier: PurifierMeasure) -> str:
    text = f"purifier {purifier.name} ({purifier.when}):"
    if purifier.changed is None:
        return f"{text} changes inputs; the model has no classes to compare"
    text += f" changes the class of {_percent(purifier.changed)} of honest rows"
    lost = purifier.accuracy_lost
    return text if lost is None else f"{text}, accuracy {-100 * lost:+.2f} points"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _stage_json(stage: StageReport) -> dict[str, Any]:
    return {
        "name": stage.info.name,
        "kind": stage.kind,
        "when": stage.when,
        "shadow": stage.info.shadow,
        "flag_score": _finite(stage.info.flag_score),
        "reject_score": _finite(stage.info.reject_score),
        "ran": stage.measured.ran,
        "flags_alone": stage.measured.flags,
        "rejects_alone": stage.measured.rejects,
        "row_us": stage.measured.row_us,
        "notes": list(stage.notes),
    }


def _rate_json(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "budget": rate.cut.budget,
        "cut": rate.cut.value,
        "mean_rate": rate.cut.mean_rate,
        "upper_rate_95": rate.cut.upper_rate,
        "calibrate_rows": rate.cut.n,
        "k": rate.cut.k,
        "hits": rate.hits,
        "rows": rate.rows,
        "rate": rate.rate,
        "interval_95": list(rate.interval),
        "predicted_hits_95": list(rate.predicted),
        "as_predicted": rate.as_predicted,
    }


def _purifier_json(purifier: PurifierMeasure) -> dict[str, Any]:
    return {
        "name": purifier.name,
        "when": purifier.when,
        "class_changed": purifier.changed,
        "accuracy_lost": purifier.accuracy_lost,
    }
