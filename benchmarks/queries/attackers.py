"""Four ways to search for an adversarial image with nothing but answers: each asks until it is stopped.

Square (Andriushchenko et al., ECCV 2020), HopSkipJump (Chen et al., S&P 2020) and Boundary (Brendel et al., ICLR 2018)
are ART's; NES is the estimate of Ilyas et al. (ICML 2018): antithetic Gaussian steps, then a signed step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from models.batch import Array

LINF, L2 = 0.3, 3.0  # how far from the image an adversarial one may be
_SIGMA, _STEP, _PAIRS = 0.1, 0.02, 10
Ask = Callable[[Array], Array]  # one row (1, 1, 28, 28) to logits (1, 10)


class Stopped(Exception):
    """The attack has asked enough."""


@dataclass
class Session:
    """One attack on one image: what it asked, in order, and at which query it had succeeded."""

    ask: Ask
    image: Array
    label: int
    near: Callable[[Array], bool]
    noise: float  # standard deviation of what is added to every query, in 255ths
    most: int
    rng: np.random.Generator
    asked: list[Array] = field(default_factory=list)
    succeeded: int | None = None

    def predict(self, x: Array) -> Array:
        """Probabilities of rows, asked one by one; what is asked is the row with noise."""
        return np.concatenate([self._one(row[None]) for row in np.asarray(x, np.float32).reshape(-1, 1, 28, 28)])

    def _one(self, row: Array) -> Array:
        if len(self.asked) >= self.most:
            raise Stopped
        noisy = row + self.rng.normal(size=row.shape) * self.noise / 255 if self.noise else row
        sent = np.clip(noisy, 0.0, 1.0).astype(np.float32)
        logits = self.ask(sent)
        self.asked.append(sent[0])
        if self.succeeded is None and logits.argmax() != self.label and self.near(row[0] - self.image):
            self.succeeded = len(self.asked)
        odds = np.exp(logits - logits.max())
        return np.asarray(odds / odds.sum())


def within(norm: str) -> Callable[[Array], bool]:
    """Whether a change counts as small."""
    if norm == "Linf":
        return lambda change: bool(np.abs(change).max() <= LINF + 1e-4)
    return lambda change: bool(np.linalg.norm(change) <= L2)


def square(session: Session) -> None:
    """ART's Square attack."""
    from art.attacks.evasion import SquareAttack

    SquareAttack(_classifier(session), eps=LINF, max_iter=session.most, nb_restarts=1, verbose=False).generate(
        session.image[None]
    )


def hop_skip_jump(session: Session) -> None:
    """ART's HopSkipJump, L2."""
    from art.attacks.evasion import HopSkipJump

    HopSkipJump(_classifier(session), max_iter=50, max_eval=1000, init_eval=20, verbose=False).generate(
        session.image[None]
    )


def boundary(session: Session) -> None:
    """ART's Boundary attack, L2."""
    from art.attacks.evasion import BoundaryAttack

    BoundaryAttack(_classifier(session), targeted=False, max_iter=1000, verbose=False).generate(session.image[None])


def nes(session: Session) -> None:
    """Signed steps along an estimated gradient, Linf."""
    z = session.image[None].copy()
    while True:
        gradient = np.zeros_like(z)
        for _ in range(_PAIRS):
            step = session.rng.normal(size=z.shape).astype(np.float32)
            up, down = (session.predict(z + sign * _SIGMA * step)[0, session.label] for sign in (1, -1))
            gradient += (up - down) * step
        z = np.clip(z - _STEP * np.sign(gradient), session.image - LINF, session.image + LINF).clip(0.0, 1.0)


ATTACKS: dict[str, tuple[Callable[[Session], None], str]] = {
    "Square": (square, "Linf"),
    "HopSkipJump": (hop_skip_jump, "L2"),
    "Boundary": (boundary, "L2"),
    "NES": (nes, "Linf"),
}


def run(name: str, session: Session) -> None:
    """The attack, until it gives up or is stopped."""
    np.random.seed(int(session.rng.integers(2**31)))  # noqa: NPY002 - ART draws from numpy's own
    with suppress(Stopped):
        ATTACKS[name][0](session)


def _classifier(session: Session) -> object:
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork

    return BlackBoxClassifierNeuralNetwork(
        session.predict, (1, 28, 28), 10, clip_values=(0.0, 1.0), channels_first=True
    )
