"""A first watchgate.yaml: a file that says in plain words what each key does."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config import Budget
from models.batch import Bounds, InputSpec


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of a model and its data. Paths as they are found from the current folder."""

    name: str
    kind: str
    model: Path
    reference: Path
    spec: InputSpec
    bounds: Bounds | None
    stages: tuple[tuple[str, str], ...]
    budget: Budget
    purifier: str | None = None
    holdout: Path | None = None
    factory: str | None = None
    x_range: tuple[float, float] | None = None
    auto: bool = False  # calibrate chooses the stages; `stages` are then what a list would have

    def text(self, folder: Path) -> str:
        """The file, for this folder: paths in it are relative to that."""
        lines = [*HEAD, "", "endpoints:", *self._endpoint(folder), "", *TAIL]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """What was found, as plain values."""
        return {
            "endpoint": self.name,
            "model": str(self.model),
            "input": {"kind": self.spec.kind, "dtype": str(self.spec.dtype), "shape": list(self.spec.shape)},
            "bounds": None if self.bounds is None else list(self.bounds),
            "stages": list(self.stage_names),
            "budget": {"flag": self.budget.flag, "reject": self.budget.reject},
        }

    def summary(self) -> str:
        """What was found, in a line."""
        shape = "x".join(map(str, self.spec.shape))
        return f"{self.spec.kind} rows of {shape} {self.spec.dtype}; chain: {', '.join(self.stage_names)}"

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The detectors of the chain."""
        if self.auto:
            return ("auto",)
        return tuple(entry.split(",")[0].strip("{}").removeprefix("kind: ") for entry, _ in self.stages)

    def _endpoint(self, folder: Path) -> list[str]:
        lines = _commented(f"  {quoted(self.name)}:", f"callers: POST /v2/models/{self.name}/infer")
        lines += ["    model:", f"      kind: {self.kind}", f"      path: {relative(self.model, folder)}"]
        if self.factory is not None:
            file, _, maker = self.factory.rpartition(":")
            made = f"./{relative(Path(file), folder)}:{maker}" if file.endswith(".py") else self.factory
            lines += _commented(f"      factory: {quoted(made)}", "makes the network; called at calibrate only")
        lines += ["      input:", *self._input()]
        lines += ["    # Honest rows, arrays `x` and, if known, classes `y`: what detectors learn as normal."]
        lines += [f"    reference: {relative(self.reference, folder)}", *self._holdout(folder)]
        lines += ["", *self._budget(), "", *self._chain(), "", *self._purify(), "", *ANSWERS]
        return lines

    def _input(self) -> list[str]:
        spec = self.spec
        lines = _commented(f"        kind: {spec.kind}", "image, table, series or tokens")
        if spec.layout is not None:
            lines += _commented(f"        layout: {spec.layout}", f"channels {_LAYOUTS[spec.layout]}")
        if spec.missing:
            lines += _commented("        missing: allow", "NaN is a value here, not a mistake")
        if self.bounds is not None:
            known = f"        bounds: [{self.bounds.low:g}, {self.bounds.high:g}]"
            return lines + _commented(known, "values outside are impossible: such rows are rejected")
        found = "" if self.x_range is None else f"; the reference has {self.x_range[0]:.4g} to {self.x_range[1]:.4g}"
        return lines + _commented("        # bounds: [low, high]", f"set it where values outside are impossible{found}")

    def _holdout(self, folder: Path) -> list[str]:
        if self.holdout is not None:
            lines = ["    # Honest rows that the model was not trained on: what thresholds are set on."]
            return [*lines, f"    holdout: {relative(self.holdout, folder)}"]
        return [
            "    # Honest rows that the model was not trained on: what thresholds are set on. Without them the",
            "    # reference is split, which is right only if the model was not trained on it either.",
            "    # holdout: test.npz",
        ]

    def _budget(self) -> list[str]:
        return [
            "    budget:                     # of honest rows, for the whole chain",
            *_commented(f"      flag: {self.budget.flag:g}", "the share that may be flagged, rejected rows counted in"),
            *_commented(f"      reject: {self.budget.reject:g}", "the share that may be rejected (HTTP 403)"),
        ]

    def _chain(self) -> list[str]:
        if self.auto:
            return list(AUTO)
        lines = ["    chain:                      # in order; the most suspicious stage decides"]
        for entry, why in self.stages:
            lines += _commented(f"      - {entry}", why)
        return lines

    def _purify(self) -> list[str]:
        if self.purifier is None:
            return ["    # purify: []                what flagged rows go through before they are answered"]
        lines = _commented("    purify:", "flagged rows are answered from their cleaned input")
        return [*lines, f"      - {{{self.purifier}, when: flagged}}"]


HEAD = (
    "# Written by `watchgate init`. Paths are relative to this file.",
    "#   watchgate calibrate   learns what is normal, sets the thresholds, writes bundle/",
    "#   watchgate serve       answers callers on http://127.0.0.1:3000",
)
AUTO = (
    "    # calibrate attacks the model, tries all evidence on that and keeps what pays; `--write` lists it here.",
    "    chain: auto",
    "    cost: 1.3                   # at most so many forward passes a row, on average over honest rows",
)
ANSWERS = (
    "    mode: enforce               # shadow: only watch, and let everything through",
    "    disclose: verdict           # what callers may see: none, verdict or scores",
)
TAIL = (
    "state:",
    "  path: state                   # where records of what was stopped are kept",
    "telemetry:",
    "  otlp: null                    # an OTLP/HTTP collector, such as http://127.0.0.1:4318",
    "  sample_clean: 0.01            # the share of unsuspicious requests that leave a trace; others always do",
)
_LAYOUTS = {"NCHW": "first", "NHWC": "last"}


def _commented(line: str, comment: str) -> list[str]:
    """The line with its comment beside it, or above where it would get too long."""
    if len(line) < 31:
        return [f"{line:<31} # {comment}"]
    if len(line) + len(comment) <= 100:
        return [f"{line}  # {comment}"]
    return [f"{' ' * (len(line) - len(line.lstrip()))}# {comment}", line]


def quoted(text: str) -> str:
    """The text as YAML reads it back."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*(:[\w./-]+)?", text) and text.lower() not in ("true", "false", "null")
    return text if plain else json.dumps(text)


def relative(path: Path, folder: Path) -> str:
    """The path from the folder where it is near, else absolute."""
    near = os.path.relpath(path, folder)
    return quoted(near if not near.startswith(f"..{os.sep}..") else os.path.abspath(path))
