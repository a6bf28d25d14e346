"""Self-play: attack the combiner as it is now, learn from what fooled the model, and again.

Adversarial training (Goodfellow et al. 2015, Madry et al. 2018), of the detector instead of the model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.base import Detector, Reference, View
from detectors.combiner import CombinerSpec
from gateway.training.examples import Made, Sources
from gateway.training.passes import Progress, silent
from models.batch import Array

ROWS, STEPS = 120, 60
QUICK_ROWS, QUICK_STEPS = 60, 30


def harden(
    made: Made,
    combiner: CombinerSpec,
    reference: Reference,
    *,
    rounds: int,
    budget: float,
    quick: bool = False,
    progress: Progress = silent,
) -> Made:
    """The examples with the rows of so many rounds more, one attack `aware-<round>` each.

    In each round a row counts as found where it scores above all but `budget` of the honest examples.
    """
    if made.examples is None or made.sources is None or rounds == 0:
        return made
    from attacks.evidence import NoTwin

    examples, told = made.examples, []
    for index in range(1, rounds + 1):
        progress("harden", index - 1, rounds)
        detector = combiner.build(combiner.fit(replace(reference, examples=examples)), reference.spec)
        honest = detector.score(examples.honest)
        limit = float(np.nextafter(np.float32(np.quantile(honest, 1.0 - budget)), np.float32(np.inf)))
        scale = max(float(honest.std()), 1.0)
        try:
            view = _played(made.sources, detector, limit, scale, index, quick)
        except NoTwin as error:
            return replace(made, notes=(*made.notes, f"not hardened: {error}"))
        if view is None:
            break
        through = int(np.count_nonzero(detector.score(view) < limit))
        told.append(f"{through} of {len(view)}")
        examples = replace(examples, attacked={**examples.attacked, f"aware-{index}": view})
    progress("harden", rounds, rounds)
    note = f"hardened: attacks that know the combiner got {', then '.join(told) or 'no'} rows past it"
    return replace(made, examples=examples, notes=(*made.notes, note))


def _played(sources: Sources, detector: Detector, limit: float, scale: float, index: int, quick: bool) -> View | None:
    """Rows of a round that fooled the model; None for few."""
    from attacks.making import Targets
    from attacks.playing import against

    rows, steps = (QUICK_ROWS, QUICK_STEPS) if quick else (ROWS, STEPS)
    picked: Array = np.random.default_rng(index).permutation(len(sources.batch))[:rows]
    targets = Targets.pick(sources.network, sources.feasible, sources.batch, sources.y, picked)
    return sources.won(against(detector, limit, scale, targets, name=f"aware-{index}", seed=index, steps=steps))
