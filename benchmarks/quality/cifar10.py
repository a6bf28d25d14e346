"""CIFAR-10 and its small ResNet."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cifar10 import cifar10
from benchmarks.cifar10_model import trained
from benchmarks.data import CACHE
from benchmarks.quality.attacks import Strengths, attacked
from benchmarks.quality.corruptions import corrupted
from benchmarks.quality.effort import Effort
from benchmarks.quality.outside import outside
from benchmarks.quality.subject import Probe, Subject, accuracy, right

REFERENCE_ROWS = 10_000
COST = 1.6  # forward passes a row
HOLDOUT, FRESH, VICTIMS = (0, 5000), (5000, 8500), (8500, 10_000)  # of the rows that are not trained on
STRENGTHS = Strengths(fgsm=8, pgd=(2, 4, 8, 16), apgd=8, square=8, pgd_steps=20, searches=3, search_steps=60, jumps=12)
PREPARED = (
    "Each image was JPEG-compressed once, which makes squeezing by JPEG look nearly perfect. So it was enlarged to "
    "36x36 and cropped to 32x32 at an offset drawn from its index."
)


def subject(effort: Effort) -> Subject:
    """The model, trained or from the cache, and its rows.

    Raises:
        DataMissing: the shared file is absent.
    """
    train, rest = cifar10()
    model = trained(train)
    folder = CACHE / "quality" / "cifar10"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = rest.part(FRESH[0], min(FRESH[0] + effort.fresh, FRESH[1]))
    victims = right(model, rest.part(*VICTIMS))

    def probes() -> Iterator[Probe]:
        yield Probe("honest", "honest", fresh.x)
        yield from attacked(model, victims, STRENGTHS, effort)
        yield from corrupted(model, right(model, fresh.part(0, effort.outside)))
        yield from outside(fresh, effort.outside)

    return Subject(
        name="cifar10",
        title="CIFAR-10, a small ResNet",
        trained=model,
        reference=train.part(0, REFERENCE_ROWS).save(folder / "reference.npz"),
        holdout=rest.part(*HOLDOUT).save(folder / "holdout.npz"),
        fresh=fresh,
        victims=victims,
        accuracy=accuracy(model, rest),
        epsilon=STRENGTHS.apgd / 255,
        spoken=f"{STRENGTHS.apgd}/255",
        probes=probes,
        remarks=(PREPARED,),
        input={"bounds": [0, 1]},
        cost=COST,
    )
