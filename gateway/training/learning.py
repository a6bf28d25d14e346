"""What stages that learn from attacks learn from, as `calibrate` asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detectors.base import Reference, View
from detectors.combiner import CombinerSpec
from gateway.config import EndpointConfig
from gateway.training.examples import Made, make
from gateway.training.hardening import harden
from gateway.training.passes import Chunked, Progress
from gateway.training.prepare import Prepared
from gateway.training.splits import MIN_TRAIN


@dataclass(frozen=True, slots=True)
class Learning:
    """`quick`: seconds instead of minutes. `harden`: so many rounds of attacks that know the combiner."""

    quick: bool = False
    harden: int = 0


THOROUGH = Learning()


def learned_from(
    settings: EndpointConfig, prepared: Prepared, folder: Path, learning: Learning, progress: Progress
) -> Made:
    """Examples made of the *train* rows; none where no stage learns. The model's path is relative to `folder`."""
    combiners = [stage.detector for stage in settings.chain if isinstance(stage.detector, CombinerSpec)]
    if not combiners:
        return Made(None, ())
    if "train" not in prepared.parts:
        return Made(None, (f"no attacks to learn from: the holdout is too small for {MIN_TRAIN} rows more",))
    train, rows = prepared.read("train"), prepared.read("reference")
    made = make(
        prepared.spec,
        folder,
        prepared.backend,
        train,
        rows,
        seed=settings.seed,
        quick=learning.quick,
        progress=progress,
    )
    view = View(rows.batch, Chunked(prepared.backend, progress))
    return harden(
        made,
        combiners[0],
        Reference(view, prepared.backend.spec, rows.y, settings.seed),
        rounds=learning.harden,
        budget=settings.budget.flag,
        quick=learning.quick,
        progress=progress,
    )
