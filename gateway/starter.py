"""A first watchgate.yaml for a model: what suits it, in a file that says in plain words what each key does."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from defenses.base import PurifierSpec, Unsuitable
from defenses.bit_depth import BitDepthSpec
from defenses.jpeg import JpegSpec
from defenses.median import MedianSpec
from detectors.base import DetectorSpec, Reference, View
from detectors.conformal import rows_needed
from detectors.contract import ContractSpec
from detectors.energy import EnergySpec
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from detectors.nearest import NearestSpec
from gateway.config import Budget
from gateway.errors import OperatorError
from gateway.training.splits import rows_for
from models.backend import ModelBackend
from models.batch import Batch, Bounds, InputSpec

BUDGETS = ((0.01, 0.05), (0.02, 0.1), (0.05, 0.2), (0.1, 0.3))  # reject, flag: the first that the rows support

# What a stage is for, in the order they run: cheap ones first.
STAGES: tuple[tuple[DetectorSpec, str], ...] = (
    (ContractSpec(), "values outside the range or off the grid that all reference rows keep to"),
    (
        InputStatisticsSpec(),
        "noise, residuals or values that no reference row has; in tables, ones that don't go together",
    ),
    (MahalanobisSpec(), "far from every class, by the spread that the classes have"),
    (NearestSpec(), "far from even the most similar reference rows"),
    (MarginSpec(), "the two likeliest classes are close"),
    (EnergySpec(), "the model finds hardly any class likely"),
    (FeatureSqueezingSpec(), "the answer changes when the row is simplified; only on odd rows, it costs a pass each"),
)


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


PURIFIERS: tuple[PurifierSpec, ...] = (MedianSpec(), BitDepthSpec(bits=2), BitDepthSpec(bits=3), JpegSpec())
MOST_CHANGED = 0.02  # of honest answers
MOST_TRAINED = 4096  # values of an image: training on larger ones takes longer than all else that calibrate does


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


def suitable(batch: Batch, backend: ModelBackend, bounds: Bounds | None) -> tuple[tuple[str, str], ...]:
    """The stages that can work on this model and rows like these, as the file spells them, and what each is for."""
    spec = replace(backend.spec, bounds=bounds)
    reference = Reference(View(batch, backend), spec)
    found = []
    for detector, why in STAGES:
        costly = isinstance(detector, FeatureSqueezingSpec)
        if costly and spec.kind != "image":
            continue
        try:
            detector.refuse_unsuitable(spec, reference.view.outputs)
            detector.build(detector.fit(reference), spec)
        except (Unsuitable, ValueError):
            continue
        found.append((f"{{kind: {detector.kind}{', when: suspicious' if costly else ''}}}", why))
    return tuple(found)


def gentle_purifier(batch: Batch, backend: ModelBackend, bounds: Bounds | None) -> str | None:
    """A trained one for small images, where torch is there to train it; else the strongest of some that changes few
    honest answers. As the file spells it; None if there is none.
    """
    spec = replace(backend.spec, bounds=bounds)
    plain = backend.predict(batch).logits
    if spec.kind != "image" or plain is None:
        return None
    if spec.size <= MOST_TRAINED and find_spec("torch") is not None:
        return "kind: denoising_autoencoder, steps: 300"
    for purifier in PURIFIERS:
        try:
            cleaned = backend.predict(batch.with_x(purifier.build(spec).apply(batch.x))).logits
        except Unsuitable:
            continue
        if cleaned is not None and np.mean(cleaned.argmax(axis=1) != plain.argmax(axis=1)) <= MOST_CHANGED:
            return ", ".join(f"{key}: {value}" for key, value in purifier.model_dump().items())
    return None


def guessed_bounds(batch: Batch, spec: InputSpec) -> Bounds | None:
    """The range of an image's values where it is a usual one: [0, 1] or [0, 255]."""
    if spec.bounds is not None or spec.kind != "image":
        return spec.bounds
    low, high = float(np.nanmin(batch.x)), float(np.nanmax(batch.x))
    if low < 0.0 or high > 255.0 or high == low:
        return None
    if spec.dtype.kind in "iu":
        return Bounds(0.0, 255.0)
    return Bounds(0.0, 1.0) if high <= 1.0 else Bounds(0.0, 255.0)


def fitting_budget(holdout_rows: int) -> Budget:
    """The first of the usual budgets that so many holdout rows support.

    Raises:
        OperatorError: they support none.
    """
    for reject, flag in BUDGETS:
        if holdout_rows >= rows_for(rows_needed(reject)):
            return Budget(flag=flag, reject=reject)
    least = rows_for(rows_needed(BUDGETS[-1][0]))
    raise OperatorError(f"expected at least {least} honest rows to set thresholds on, found {holdout_rows}")


def name_for(model: Path) -> str:
    """An endpoint's name from the model's file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model.stem).strip("-.") or "model"
