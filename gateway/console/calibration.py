"""What a bundle knows of its calibration: the report, each stage's honest scores, the chain statistic's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.calibration import CERTAIN, TailMap
from gateway.explaining.sample import Sample
from gateway.training.bundle import MANIFEST, Bundle
from gateway.training.sample import FILE as SAMPLE
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Calibration:
    """One endpoint's. `statistic` (m,) is the chain statistic of the calibrate rows, ascending.

    `low`, `high` (values,) are the range that the contract learned from the reference; None without such a stage.
    `sample` are reference rows to look at; None where the bundle has none.
    """

    version: str
    created: str
    report: Mapping[str, Any]
    tails: Mapping[str, TailMap]
    statistic: Array
    low: Array | None = None
    high: Array | None = None
    sample: Sample | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """The detector's kind by the stage's name."""
        return {stage["name"]: stage["kind"] for stage in self.report["stages"]}

    def budget(self, which: str) -> float | None:
        """The share of honest rows that may be `flag`ged or `reject`ed; None for a chain without stages."""
        rate = self.report.get(which)
        return None if rate is None else float(rate["budget"])


def read_calibration(bundle: Path, endpoint: str) -> Calibration | None:
    """The calibration in a bundle's folder; None where none can be read. Files are not verified: `serve` does that."""
    folder = bundle / endpoint
    try:
        found = Bundle(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        names = [(stage["name"], stage["kind"]) for stage in found.manifest["report"]["stages"]]
        stages = [found.arrays(f"stage-{index}.npz") for index in range(len(names))]
        contract = next((a for a, (_, kind) in zip(stages, names, strict=True) if kind == "contract"), {})
        tails = {name: TailMap.from_arrays(a, "tail.") for a, (name, _) in zip(stages, names, strict=True)}
        return Calibration(
            version=str(found.manifest["version"]),
            created=str(found.manifest["created"]),
            report=found.manifest["report"],
            tails=tails,
            statistic=found.arrays("calibrated.npz").get("statistic", np.empty(0)),
            low=contract.get("detector.low"),
            high=contract.get("detector.high"),
            sample=_sample(found),
        )
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _sample(bundle: Bundle) -> Sample | None:
    arrays = bundle.arrays(SAMPLE)
    return Sample.from_arrays(arrays) if arrays else None


def shares(tail: TailMap, ends: Array) -> Array:
    """The share of honest rows with a score in each of the bins (ends[i], ends[i + 1]]: (len(ends) - 1,)."""
    above: Array = tail(np.nextafter(ends, np.inf))
    inside: Array = np.maximum(above[:-1] - above[1:], 0.0)
    return inside


def extent(tail: TailMap, marks: tuple[float | None, ...]) -> tuple[float, float]:
    """The scores that a picture of the distribution spans: nearly all honest ones, and these marks if not too far."""
    low, high = float(tail.knots[0]), tail.inverse(1e-4 * float(tail.levels[-1] / 0.1))
    span = max(high - low, 1e-12)
    near = [m for m in marks if m is not None and abs(m) < CERTAIN and low - span <= m <= high + span]
    low, high = min([low, *near]), max([high, *near])
    pad = 0.03 * max(high - low, 1e-12)
    return low - pad, high + pad
