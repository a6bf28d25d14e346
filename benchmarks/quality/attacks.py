"""The attacks that ignore the defense, by Foolbox and ART; rows are rounded to k/255 and count only if they still fool.

Fast gradient sign (Goodfellow et al. 2015), projected gradient descent (Madry et al. 2018), APGD (Croce and Hein 2020),
C&W (Carlini and Wagner 2017), DeepFool (Moosavi-Dezfooli et al. 2016), Square (Andriushchenko et al. 2020),
HopSkipJump (Chen et al. 2020). The last two ask the served ONNX file and know nothing else.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data import Images, Labeled, to_grid
from benchmarks.detection.attacks import LEVELS, Attacker
from benchmarks.networks import Trained, predict
from benchmarks.quality.effort import Effort
from benchmarks.quality.kept import digest_of, kept, model_digest
from benchmarks.quality.served import Served
from benchmarks.quality.subject import Probe
from models.batch import Array

with warnings.catch_warnings():  # both ask other packages for names that will go
    warnings.simplefilter("ignore")
    from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack
    from art.estimators.classification import PyTorchClassifier
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
    from foolbox.attacks.deepfool import L2DeepFoolAttack
    from foolbox.attacks.hop_skip_jump import HopSkipJumpAttack
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.models.pytorch import PyTorchModel

SEED = 0
OVERSHOOT = 0.1  # less is undone by rounding


@dataclass(frozen=True)
class Strengths:
    """In 1/255: of FGSM, of each PGD, of APGD and of Square; and how far the searches go."""

    fgsm: int
    pgd: tuple[int, ...]
    apgd: int
    square: int
    pgd_steps: int
    searches: int
    search_steps: int
    jumps: int


@dataclass(frozen=True)
class Job:
    """One attack on some rows, and what it is called."""

    name: str
    family: str
    rows: Labeled
    run: Callable[[Labeled], Images]


def attacked(trained: Trained, victims: Labeled, strengths: Strengths, effort: Effort) -> Iterator[Probe]:
    """Every attack in turn, from the cache where it was made before."""
    model = model_digest(trained)
    for job in jobs(trained, victims, strengths, effort):
        started = time.perf_counter()
        key = digest_of(model, job.name, strengths, job.rows.x, job.rows.y)
        x = kept(job.name, key, lambda job=job: as_bytes(job.run(job.rows)))  # type: ignore[misc]
        x = x.astype(np.float32) / np.float32(LEVELS)
        won = (predict(trained.network, x) != job.rows.y) & ~gave_up(x, job.rows.x)
        spent = time.perf_counter() - started
        print(f"{job.name}: {won.sum()} of {len(won)}, {spent:.0f} s", file=sys.stderr, flush=True)
        yield Probe(job.name, "attack", x[won], job.family, len(job.rows))


def gave_up(x: Images, clean: Images) -> Array:
    """(n,) mask: Foolbox gives back a blank picture where C&W found nothing, and a blank one is no attack."""
    blank = x.reshape(len(x), -1).max(axis=1) == 0.0
    return np.asarray(blank & (clean.reshape(len(clean), -1).max(axis=1) > 0.0))


def as_bytes(x: Images) -> Array:
    """Rounded to the grid, as an 8-bit picture is."""
    return np.asarray(np.rint(to_grid(x) * LEVELS).astype(np.uint8))


def jobs(trained: Trained, victims: Labeled, s: Strengths, effort: Effort) -> list[Job]:
    """All attacks, quick ones first."""
    makers = Makers(trained, s)
    fast, slow, slowest = (victims.part(0, n) for n in (effort.fast, effort.slow, effort.slowest))
    strong = [Job(f"PGD {levels}/255", "FGSM, PGD, APGD", fast, makers.pgd(levels)) for levels in s.pgd]
    return [
        Job(f"FGSM {s.fgsm}/255", "FGSM, PGD, APGD", fast, makers.fgsm),
        *strong,
        Job(f"APGD {s.apgd}/255", "FGSM, PGD, APGD", slow, makers.apgd),
        Job("C&W", "C&W, DeepFool", slow, makers.carlini_wagner(0.0)),
        Job("C&W k=10", "C&W, DeepFool", slow, makers.carlini_wagner(10.0)),
        Job("DeepFool", "C&W, DeepFool", slow, makers.deepfool),
        Job(f"Square {s.square}/255", "Square", slow, makers.square),
        Job("HopSkipJump", "HopSkipJump", slowest, makers.hop_skip_jump),
    ]


class Makers:
    """The libraries' attacks on one network, seeded before each."""

    def __init__(self, trained: Trained, strengths: Strengths) -> None:
        self.strengths = strengths
        self.attacker = Attacker(trained.network, SEED)
        self.network = trained.network
        self.served = Served(trained.onnx)

    def fgsm(self, rows: Labeled) -> Images:
        """One step."""
        return self.attacker.fgsm(rows, self.strengths.fgsm)

    def pgd(self, levels: int) -> Callable[[Labeled], Images]:
        """Many steps from a random start."""
        steps = self.strengths.pgd_steps
        attack = LinfProjectedGradientDescentAttack(steps=steps, rel_stepsize=2.5 / steps, random_start=True)
        return lambda rows: self.attacker.run(attack, rows, levels / LEVELS)

    def apgd(self, rows: Labeled) -> Images:
        """As many steps as PGD, with one random start."""
        epsilon = self.strengths.apgd / LEVELS
        attack = AutoProjectedGradientDescent(
            self._art(self.network, rows),
            eps=epsilon,
            eps_step=2.0 * epsilon,
            max_iter=self.strengths.pgd_steps,
            nb_random_init=1,
            batch_size=128,
            loss_type="cross_entropy",
            verbose=False,
        )
        return seeded(lambda: attack.generate(rows.x, rows.y))

    def carlini_wagner(self, confidence: float) -> Callable[[Labeled], Images]:
        """The smallest L2 change that wins by `confidence` in logits."""
        attack = L2CarliniWagnerAttack(
            binary_search_steps=self.strengths.searches,
            steps=self.strengths.search_steps,
            stepsize=0.03,
            initial_const=1.0,
            confidence=confidence,
        )
        return lambda rows: self.attacker.run(attack, rows, None)

    def deepfool(self, rows: Labeled) -> Images:
        """A tenth further than over the nearest linearized border, of the likeliest five classes."""
        return self.attacker.run(L2DeepFoolAttack(overshoot=OVERSHOOT, candidates=5), rows, None)

    def square(self, rows: Labeled) -> Images:
        """A thousand answers a row at most."""
        attack = SquareAttack(
            self._art(self.served, rows),
            eps=self.strengths.square / LEVELS,
            max_iter=1000,
            p_init=0.3,
            batch_size=512,
            verbose=False,
        )
        return seeded(lambda: attack.generate(rows.x, rows.y))

    def hop_skip_jump(self, rows: Labeled) -> Images:
        """From an honest row of another class towards the own one; classes are all it learns."""
        attack = HopSkipJumpAttack(steps=self.strengths.jumps, max_gradient_eval_steps=400)
        others = np.array(
            [next(j for j in np.roll(range(len(rows)), -i) if rows.y[j] != y) for i, y in enumerate(rows.y)]
        )
        model = PyTorchModel(self.served.eval(), bounds=(0, 1), device="cpu")
        x, y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)

        def run() -> Images:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found: Tensor = attack.run(model, x, y, starting_points=x[others])
            return np.asarray(found.numpy())

        return seeded(run)

    def _art(self, network: nn.Module, rows: Labeled) -> PyTorchClassifier:
        classes = int(network(torch.from_numpy(rows.x[:1])).shape[1])
        return PyTorchClassifier(
            network, nn.CrossEntropyLoss(), rows.x.shape[1:], classes, clip_values=(0.0, 1.0), device_type="cpu"
        )


def seeded(run: Callable[[], Images]) -> Images:
    """ART and Foolbox draw from the generators that all share."""
    torch.manual_seed(SEED)
    state = np.random.get_state()  # noqa: NPY002 - the libraries draw from it
    np.random.seed(SEED)  # noqa: NPY002
    try:
        return np.asarray(run(), dtype=np.float32)
    finally:
        np.random.set_state(state)  # noqa: NPY002
