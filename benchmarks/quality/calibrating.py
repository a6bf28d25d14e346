"""Chains calibrated by the product's own code, from one reading of the data and one making of attacks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.data import CACHE
from benchmarks.detection.judging import BUDGET
from benchmarks.quality.catalogue import kinds
from benchmarks.quality.remembering import Remembering
from benchmarks.quality.subject import Subject
from defenses.base import Effort
from detectors.combiner import CombinerSpec
from detectors.examples import Examples
from detectors.remembering import RememberingReference
from gateway.chain import Chain
from gateway.config import EndpointConfig, StageConfig
from gateway.training.bundle import Draft
from gateway.training.examples import Made
from gateway.training.fitting import Taught, fit
from gateway.training.hardening import harden
from gateway.training.learning import Learning, learn
from gateway.training.passes import silent
from gateway.training.prepare import Prepared, prepare
from gateway.training.wearing import Wear

Stages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Calibration:
    """The data split as `calibrate` does for a chain that learns, the attacks made of its *train* rows, and what
    detectors have learned from the reference so far.
    """

    settings: EndpointConfig
    prepared: Prepared
    made: Made
    reference: RememberingReference
    wear: Wear | None
    quick: bool

    @staticmethod
    def of(subject: Subject, quick: bool) -> Calibration:
        """Reads, splits, attacks."""
        folder = CACHE / "quality" / subject.name / "draft"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        settings = settings_of(subject, (*({"kind": kind} for kind in kinds()), {"kind": "combiner"}))
        prepared = prepare(settings, Draft(folder))
        prepared = replace(prepared, backend=Remembering(prepared.backend))
        learned = learn(settings, prepared, folder, Learning(quick), silent)
        return Calibration(settings, prepared, learned.made, learned.reference, learned.wear, quick)

    def chain(self, stages: Stages, examples: Examples | None = None) -> tuple[Chain, list[str]]:
        """The calibrated chain, and what its stages have to say of their fit. Mild wear is spared where a stage learns,
        as the product has it; a detector alone shows what its evidence tells.

        Raises:
            OperatorError: a stage does not suit the model or the data.
        """
        configs = [StageConfig.model_validate(dict(stage)) for stage in stages]
        backend, read, settings = self.prepared.backend, self.prepared.read, self.settings
        wear = self.wear if any(isinstance(config.detector, CombinerSpec) for config in configs) else None
        fitted = fit(
            configs, backend, read, settings.budget, taught=Taught(examples, self.reference, wear), seed=settings.seed
        )
        notes = [note for stage in fitted.stages for note in stage.notes]
        return Chain(backend, tuple(stage.stage for stage in fitted.stages), fitted.policy), notes

    def without(self, attacks: Sequence[str]) -> Examples | None:
        """The examples without those attacks whose name starts with one of these; None where nothing is left out."""
        examples = self.made.examples
        if examples is None:
            return None
        left = {name: view for name, view in examples.attacked.items() if not name.startswith(tuple(attacks))}
        return replace(examples, attacked=left) if 0 < len(left) < len(examples.attacked) else None

    def hardened(self, rounds: int) -> Made:
        """The examples after so many rounds of self-play, as `calibrate --harden` plays them."""
        budget, stages = self.settings.budget.flag, (StageConfig(detector=CombinerSpec(), name="combiner"),)
        return harden(self.made, stages, self.reference, rounds=rounds, budget=budget, effort=Effort(self.quick))


def settings_of(subject: Subject, stages: Stages) -> EndpointConfig:
    """As they would stand in a config file."""
    return EndpointConfig.model_validate(
        {
            "model": {"kind": "onnx", "path": str(subject.trained.onnx), "input": dict(subject.input)},
            "reference": Path(subject.reference),
            "holdout": Path(subject.holdout),
            "budget": BUDGET,
            "chain": [dict(stage) for stage in stages],
        }
    )
