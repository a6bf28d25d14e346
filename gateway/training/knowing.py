"""A calibrated chain as an attack that knows it sees it: limits, gates, pieces of evidence, and the chain to ask.

Needs torch.
"""

from __future__ import annotations

import numpy as np

from attacks.evading import Epsilon, Guides, Judge, Known, Scene, Told
from attacks.evading import knowing as evading
from attacks.making import Targets
from detectors.base import View
from detectors.contract import Contract
from gateway.chain import Chain, collect
from models.batch import Array, Batch

_LEAST = 1e-300  # a tail probability below it is as good as none


def known_of(chain: Chain, honest: View) -> Known:
    """What the deciding stages of a chain are to an attacker; `honest` rows tell the usual scores."""
    stages = [stage for stage in chain.stages if not stage.shadow]
    wakes = min((stage.gate.high for stage in stages if stage.gate is not None), default=None)
    told = []
    for stage in stages:
        limit = stage.tail.inverse(chain.policy.flag_cut * stage.weight)
        woken = None
        if stage.gate is None and wakes is not None:
            woken = stage.tail.inverse(min(wakes, 1.0) * stage.weight)
        told.append(Told(stage.name, stage.detector, limit, woken, stage.gate is not None))
    return evading.known(told, honest)


def scene_of(targets: Targets, known: Known, chain: Chain, epsilon: Epsilon) -> Scene:
    """The rows to attack, in boxes that no contract of the chain objects to."""
    return evading.scene(targets, known, epsilon, _usual_range(chain, targets))


def judge_of(targets: Targets, chain: Chain) -> Judge:
    """The served chain: evidence beyond the cut for flagging is in units of the logarithm of the tail probability."""
    cut = np.log(max(chain.policy.flag_cut, _LEAST))

    def ask(batch: Batch) -> tuple[Array, Array]:
        view = View(batch, chain.backend)
        evidence = collect(chain.stages, view)
        logits = view.outputs.logits
        assert logits is not None, "a model with gradients has logits"
        return logits, np.asarray(cut - np.log(np.maximum(evidence.statistic, _LEAST)))

    return evading.judge(targets, ask)


def guides_of(targets: Targets, chain: Chain, honest: View) -> Guides:
    """Those of the honest rows that pass the chain."""
    passed = np.flatnonzero(collect(chain.stages, honest).statistic >= chain.policy.flag_cut)
    return evading.guides(targets, honest.batch.take(passed))


def _usual_range(chain: Chain, targets: Targets) -> tuple[Array, Array] | None:
    """(*row shape) each, of all contracts of the chain that decide."""
    contracts = [stage.detector for stage in chain.stages if not stage.shadow]
    rules = [detector.rules for detector in contracts if isinstance(detector, Contract)]
    if not rules:
        return None
    low, high = np.max([rule.low for rule in rules], axis=0), np.min([rule.high for rule in rules], axis=0)
    shape = targets.network.spec.shape
    return np.asarray(low).reshape(shape), np.asarray(high).reshape(shape)
