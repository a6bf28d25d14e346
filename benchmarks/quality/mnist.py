"""MNIST and its small CNN."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.data import CACHE, mnist
from benchmarks.detection.outside import outside
from benchmarks.mnist_model import trained
from benchmarks.quality.attacks import Strengths, attacked
from benchmarks.quality.corruptions import corrupted
from benchmarks.quality.effort import Effort
from benchmarks.quality.subject import Probe, Subject, accuracy, right

REFERENCE_ROWS = 10_000
COST = 1.3  # forward passes a row
HOLDOUT, FRESH, VICTIMS = (0, 5000), (5000, 9000), (9000, 10_000)  # rows of the test set
STRENGTHS = Strengths(
    fgsm=51, pgd=(26, 51, 77), apgd=51, square=77, pgd_steps=40, searches=5, search_steps=100, jumps=25
)


def subject(effort: Effort) -> Subject:
    """The model, trained or from the cache, and its rows.

    Raises:
        DataMissing: the shared file is absent.
    """
    train, test = mnist()
    model = trained(train)
    folder = CACHE / "quality" / "mnist"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = test.part(FRESH[0], min(FRESH[0] + effort.fresh, FRESH[1]))
    victims = right(model, test.part(*VICTIMS))

    def probes() -> Iterator[Probe]:
        yield Probe("honest", "honest", fresh.x)
        yield from attacked(model, victims, STRENGTHS, effort)
        yield from corrupted(model, right(model, fresh.part(0, effort.outside)))
        for name, x in outside(fresh, effort.outside):
            yield Probe(name, "outside", x)

    return Subject(
        name="mnist",
        title="MNIST, a CNN of three layers",
        trained=model,
        reference=train.part(0, REFERENCE_ROWS).save(folder / "reference.npz"),
        holdout=test.part(*HOLDOUT).save(folder / "holdout.npz"),
        fresh=fresh,
        victims=victims,
        accuracy=accuracy(model, test),
        epsilon=STRENGTHS.apgd / 255,
        spoken=f"{STRENGTHS.apgd}/255",
        probes=probes,
        input={"bounds": [0, 1]},
        cost=COST,
    )
