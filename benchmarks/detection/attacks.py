"""Attacks on the undefended model, kept honest: a picture is 8 bits a pixel, so every attack is rounded to k/255.

Only rows that are still misclassified after rounding count as found or missed; how many those are is stated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.data import Images, Labeled, to_grid
from benchmarks.networks import predict

with warnings.catch_warnings():  # foolbox asks scipy for names that will go
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.attacks.base import Attack
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
    from foolbox.attacks.deepfool import L2DeepFoolAttack
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.models.pytorch import PyTorchModel

PGD_STEPS = 40
LEVELS = 255
STRENGTHS = (13, 26, 51, 77)  # in 1/255: about 0.05, 0.1, 0.2, 0.3
FOOLED = 0.95
SMALLEST_LIMIT = 96  # in 1/255: beyond it an attack is a picture of something else


Strength = Callable[[Labeled, int], Images]


@dataclass(frozen=True)
class Probe:
    """Rows the chain should find. `tried` rows were attacked; of them the undefended model got `accuracy` right."""

    name: str
    x: Images
    tried: int
    accuracy: float


class Attacker:
    """Runs foolbox attacks on one network, seeded before each of them.

    Fast gradient sign (Goodfellow et al., 2015), projected gradient descent (Madry et al., 2018), DeepFool
    (Moosavi-Dezfooli et al., 2016), C&W (Carlini and Wagner, 2017).
    """

    def __init__(self, network: nn.Module, seed: int = 0) -> None:
        self.network = network
        self.seed = seed
        self.target = PyTorchModel(network, bounds=(0, 1), device="cpu")

    def run(self, attack: Attack, rows: Labeled, epsilon: float | None) -> Images:
        """The attacked rows, not rounded."""
        torch.manual_seed(self.seed)
        x, y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
        _, attacked, _ = attack(self.target, x, y, epsilons=epsilon)
        result: Images = attacked.numpy()
        return result

    def fgsm(self, rows: Labeled, levels: int) -> Images:
        """One step of levels/255."""
        return self.run(LinfFastGradientAttack(), rows, levels / LEVELS)

    def pgd(self, rows: Labeled, levels: int) -> Images:
        """Forty steps within levels/255, from a random start."""
        attack = LinfProjectedGradientDescentAttack(steps=PGD_STEPS, rel_stepsize=2.5 / PGD_STEPS, random_start=True)
        return self.run(attack, rows, levels / LEVELS)

    def deepfool(self, rows: Labeled) -> Images:
        """The smallest L2 step over the nearest linearized border, and a fiftieth more."""
        return self.run(L2DeepFoolAttack(overshoot=0.02), rows, None)

    def carlini_wagner(self, rows: Labeled, confidence: float) -> Images:
        """The smallest L2 change that wins by `confidence` in logits."""
        attack = L2CarliniWagnerAttack(
            binary_search_steps=5, steps=100, stepsize=0.05, initial_const=1.0, confidence=confidence
        )
        return self.run(attack, rows, None)

    def probe(self, name: str, rows: Labeled, attacked: Images, rounded: bool = True) -> Probe:
        """Of the rows that the model got right, those that it no longer does."""
        x = to_grid(attacked) if rounded else attacked
        right = predict(self.network, x) == rows.y
        was_right = predict(self.network, rows.x) == rows.y
        return Probe(name, x[was_right & ~right], len(rows), float(right.mean()))

    def smallest(self, attack: Strength, rows: Labeled) -> int | None:
        """The smallest strength in 1/255 at which the attack, rounded, fools 95 % of the rows that were right."""
        low, high = 0, SMALLEST_LIMIT
        if not self.fools(attack, rows, high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fools(attack, rows, middle) else (middle, high)
        return high

    def fools(self, attack: Strength, rows: Labeled, levels: int) -> bool:
        """Whether the attack fools 95 % at this strength."""
        was_right = predict(self.network, rows.x) == rows.y
        wrong = predict(self.network, to_grid(attack(rows, levels))) != rows.y
        return bool(wrong[was_right].mean() >= FOOLED)


def attacks(network: nn.Module, rows: Labeled, few: int, reference: Images) -> Iterator[Probe]:
    """Every attack in turn, the slow ones on the first `few` rows.

    Then two that keep each pixel to the range it has in the reference; the last is not rounded: a trap, shown as one.
    """
    attacker = Attacker(network)
    some = rows.part(0, few)
    smallest = None
    for name, attack in (("FGSM", attacker.fgsm), ("PGD", attacker.pgd)):
        smallest = attacker.smallest(attack, rows)
        for levels in sorted({*STRENGTHS, smallest or STRENGTHS[0]}):
            yield attacker.probe(title(name, levels, smallest), rows, attack(rows, levels))
    yield attacker.probe("DeepFool L2", rows, attacker.deepfool(rows))
    confident = attacker.carlini_wagner(some, 10)
    yield attacker.probe("C&W L2, confidence 0", some, attacker.carlini_wagner(some, 0))
    yield attacker.probe("C&W L2, confidence 10", some, confident)
    strength = smallest or STRENGTHS[-1]
    strong = attacker.pgd(rows, strength)
    low, high = reference.min(axis=0), reference.max(axis=0)
    yield attacker.probe(f"PGD Linf {strength}/255, kept to the reference's range", rows, strong.clip(low, high))
    yield attacker.probe("C&W L2, confidence 10, kept to the reference's range", some, confident.clip(low, high))
    yield attacker.probe(f"PGD Linf {strength}/255, not rounded", rows, strong, rounded=False)


def title(attack: str, levels: int, smallest: int | None) -> str:
    """An attack's name with its strength; marks the smallest that fools 95 %."""
    note = ", the smallest that fools 95 %" if levels == smallest else ""
    return f"{attack} Linf {levels}/255 = {levels / LEVELS:.2f}{note}"
