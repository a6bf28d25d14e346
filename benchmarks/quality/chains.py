"""The chains that are compared: every detector alone, the combiner, the combiner that never saw a kind of attack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.quality.calibrating import COMBINED, Calibration
from benchmarks.quality.catalogue import kinds
from benchmarks.quality.default import Default
from benchmarks.quality.effort import Effort
from detectors.examples import Examples
from gateway.chain import Chain
from gateway.errors import OperatorError

DEFAULT, COMBINER, HARDENED, LEFT_OUT = "default chain", "combiner", "combiner, hardened", "combiner, kin left out"
DEFAULT_HARDENED = "default chain, hardened"
# Which of the attacks that a combiner learns from are kin to those that it is judged by, by how their names start.
KIN: Mapping[str, tuple[str, ...]] = {
    "FGSM": ("fgsm",),
    "PGD, APGD": ("pgd", "apgd"),
    "C&W, DeepFool": ("carlini_wagner",),
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
    """With all attacks, each kin of them left out, and with self-play."""
    yield _calibrated(COMBINER, calibration, COMBINED, calibration.made.examples)
    for family, attacks in KIN.items():
        examples = calibration.without(attacks)
        if examples is not None:
            yield _calibrated(f"{COMBINER} without {family}", calibration, COMBINED, examples, family)
    if calibration.made.sources is not None:
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
    stages: Sequence[Mapping[str, object]],
    examples: Examples | None,
    family: str | None = None,
    notes: tuple[str, ...] = (),
) -> Calibrated:
    started = time.perf_counter()
    chain, told = calibration.chain(stages, examples)
    return Calibrated(name, chain, time.perf_counter() - started, (*notes, *told), family)
