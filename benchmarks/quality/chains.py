"""The chains that are compared: every detector alone, the combiner, the combiner that never saw a kind of attack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.quality.calibrating import Calibration, Stages
from benchmarks.quality.catalogue import kinds
from benchmarks.quality.default import Default
from benchmarks.quality.effort import Effort
from detectors.examples import Examples
from gateway.chain import Chain
from gateway.errors import OperatorError

DEFAULT, COMBINER, HARDENED, LEFT_OUT = "default chain", "combiner", "combiner, hardened", "combiner, kin left out"
DEFAULT_HARDENED, WITH_CONTRACT = "default chain, hardened", "contract, combiner"
COMBINED: Stages = ({"kind": "combiner"},)
# Which of the attacks that a combiner learns from are kin to those that it is judged by, by how their names start.
KIN: Mapping[str, tuple[str, ...]] = {
    "FGSM, PGD, APGD": ("fgsm", "pgd", "apgd"),
    "C&W, DeepFool": ("carlini_wagner", "boundary"),
    "Square": ("patches",),
    "HopSkipJump": ("boundary", "carlini_wagner"),
}


@dataclass(frozen=True)
class Calibrated:
    """A chain by name; `family` says which attacks it never learned from, `alone` that it is one detector."""

    name: str
    chain: Chain
    seconds: float
    notes: tuple[str, ...] = ()
    family: str | None = None
    alone: bool = False


@dataclass
class Refused:
    """Detectors that do not suit the model or the data, and why."""

    why: dict[str, str] = field(default_factory=dict)


def combiners(calibration: Calibration, effort: Effort) -> Iterator[Calibrated]:
    """With all attacks, behind a contract, with each kin of them left out, and with self-play."""
    examples = calibration.made.examples
    yield _calibrated(COMBINER, calibration, COMBINED, examples)
    yield _calibrated(WITH_CONTRACT, calibration, ({"kind": "contract"}, *COMBINED), examples)
    for family, attacks in KIN.items():
        left = calibration.without(attacks)
        if left is not None:
            yield _calibrated(f"{COMBINER} without {family}", calibration, COMBINED, left, family)
    if calibration.made.sources is not None and effort.harden:
        hardened = calibration.hardened(effort.harden)
        yield _calibrated(HARDENED, calibration, COMBINED, hardened.examples, notes=hardened.notes)


def alone(calibration: Calibration, refused: Refused) -> Iterator[Calibrated]:
    """Each detector of the catalogue as the only stage."""
    for kind in kinds():
        try:
            made = _calibrated(kind, calibration, ({"kind": kind},), calibration.made.examples)
        except OperatorError as error:
            refused.why[kind] = str(error)
            continue
        yield Calibrated(made.name, made.chain, made.seconds, made.notes, alone=True)


def defaults(plain: Default, hardened: Default | None) -> Iterator[Calibrated]:
    """What an operator has who takes what is offered."""
    yield Calibrated(DEFAULT, plain.chain, plain.seconds)
    if hardened is not None:
        yield Calibrated(DEFAULT_HARDENED, hardened.chain, hardened.seconds)


def _calibrated(
    name: str,
    calibration: Calibration,
    stages: Stages,
    examples: Examples | None,
    family: str | None = None,
    notes: tuple[str, ...] = (),
) -> Calibrated:
    started = time.perf_counter()
    chain, told = calibration.chain(stages, examples)
    return Calibrated(name, chain, time.perf_counter() - started, (*notes, *told), family)
