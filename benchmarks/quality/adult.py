"""UCI Adult and a small network over its columns."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch

from attacks.feasible import UNIT, Feasible
from attacks.network import Network
from attacks.pgd import pgd
from benchmarks.adult import COLUMNS, adult
from benchmarks.adult_model import trained
from benchmarks.data import CACHE, Images, Labeled
from benchmarks.networks import Trained, predict
from benchmarks.quality.effort import Effort
from benchmarks.quality.subject import Probe, Subject, accuracy, right
from benchmarks.quality.tampering import tampered
from detectors.base import Reference, View
from detectors.contract import ContractSpec
from models.batch import Batch
from models.specs import InputConfig, OnnxSpec, load_model, resolve

REFERENCE_ROWS = 10_000
HOLDOUT, FRESH, VICTIMS = (0, 6000), (6000, 11_000), (11_000, 16_561)  # of the rows that are not trained on
EPSILONS = (0.02, 0.05, 0.1)  # shares of each column's range
IMMUTABLE = ("age", "race", "sex", "country")
STEPS = 60


def subject(effort: Effort) -> Subject:
    """The model, trained or from the cache, and its rows.

    Raises:
        DataMissing: the shared file is absent.
    """
    train, rest = adult()
    model = trained(train)
    folder = CACHE / "quality" / "adult"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = rest.part(FRESH[0], min(FRESH[0] + effort.fresh, FRESH[1]))
    victims = right(model, rest.part(*VICTIMS))
    reference = train.part(0, REFERENCE_ROWS)

    def probes() -> Iterator[Probe]:
        yield Probe("honest", "honest", fresh.x)
        yield from attacked(model, reference, victims.part(0, effort.fast))
        yield from tampered(fresh.x[: 2 * effort.outside])

    return Subject(
        name="adult",
        title="UCI Adult, a small network over 14 columns",
        trained=model,
        reference=reference.save(folder / "reference.npz"),
        holdout=rest.part(*HOLDOUT).save(folder / "holdout.npz"),
        fresh=fresh,
        victims=victims,
        accuracy=accuracy(model, rest),
        epsilon=EPSILONS[-1],
        spoken=f"{EPSILONS[-1]:.0%} of each column's range",
        probes=probes,
        remarks=(
            f"PGD moves values by a share of their column's range, keeps them whole and inside what the reference "
            f"has, and leaves {', '.join(IMMUTABLE)} alone; the attack that knows the chain may change all columns.",
        ),
        input={"kind": "table", "columns": list(COLUMNS)},
    )


def attacked(model: Trained, reference: Labeled, victims: Labeled) -> Iterator[Probe]:
    """Rows that could be sent, by PGD; those that the model gets wrong."""
    given = OnnxSpec(path=model.onnx, input=InputConfig(kind="table", columns=COLUMNS))
    spec = resolve(given, reference.x[:64])
    backend = load_model(spec)
    rules = ContractSpec().fit(Reference(View(Batch(reference.x), backend), backend.spec))
    feasible = Feasible.learn(reference.x, backend.spec, rules, IMMUTABLE)
    network = Network.of(spec)
    for epsilon in EPSILONS:
        x = moved(network, feasible, victims, epsilon)
        won = predict(model.network, x) != victims.y
        print(f"PGD {epsilon:.0%}: {won.sum()} of {len(won)}", file=sys.stderr, flush=True)
        yield Probe(f"PGD {epsilon:.0%}, feasible", "attack", x[won], "FGSM, PGD, APGD", len(victims))


def moved(network: Network, feasible: Feasible, rows: Labeled, epsilon: float) -> Images:
    """Where PGD takes these rows."""
    model = feasible.through(network.model(), rows.x)
    found = pgd(
        model, feasible.to_unit(rows.x), torch.from_numpy(rows.y), epsilon=epsilon, steps=STEPS, bounds=UNIT, seed=0
    )
    return np.asarray(feasible.from_unit(found, rows.x), dtype=np.float32)
