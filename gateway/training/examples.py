"""What a combiner is trained on: attacks made from *train* rows, and honest wear of them. Needs torch and gradients.

Without either there are no examples, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.base import Reference, Unsuitable, View
from detectors.contract import ContractSpec
from detectors.examples import Examples
from gateway.training.data import Rows
from gateway.training.passes import Chunked, Progress, silent
from gateway.training.wearing import Wear
from models.backend import ModelBackend
from models.batch import Array, Batch
from models.errors import ModelError
from models.specs import ModelSpec

if TYPE_CHECKING:
    from attacks.feasible import Feasible
    from attacks.making import Attacked
    from attacks.network import Network

FEW_ROWS = 10  # an attack that won fewer teaches nothing
_RULES_ROWS = 5000
_SAMPLE_ROWS = 16


@dataclass(frozen=True, slots=True)
class Made:
    """Examples, if any could be made, and what a person should know of them."""

    examples: Examples | None
    notes: tuple[str, ...]
    sources: Sources | None = None


def make(
    spec: ModelSpec,
    folder: Path | None,
    backend: ModelBackend,
    train: Rows,
    reference: Rows,
    *,
    wear: Wear | None = None,
    seed: int = 0,
    quick: bool = False,
    progress: Progress = silent,
) -> Made:
    """Attacks the model of a resolved `spec` on *train* rows, on fewer of them and in fewer steps if `quick`.

    `reference` rows tell the range and the grid of the input. `wear` is what honest rows may come with.
    """
    if backend.spec.kind == "tokens":
        return _none("token ids have no gradient")
    if find_spec("torch") is None:
        return _none("torch is not installed (`pip install 'watchgate[torch]'`)")
    from attacks.feasible import Feasible
    from attacks.network import Network, NotDifferentiable

    chunked = Chunked(backend)
    some = _some(reference.batch, seed)
    try:
        network = Network.of(spec, folder)
        network.verify(train.batch.take(slice(0, _SAMPLE_ROWS)), backend)
        rules = ContractSpec().fit(Reference(View(some, chunked), backend.spec, seed=seed))
    except (NotDifferentiable, ModelError, Unsuitable) as error:
        return _none(" ".join(str(error).split()))
    feasible = Feasible.learn(some.x, backend.spec, rules)
    classes = _classes(chunked, train.batch)
    right = np.arange(len(classes)) if train.y is None else np.flatnonzero(classes == train.y)
    sources = Sources(network, feasible, train.batch.take(right), classes[right], chunked)
    views = dict(sources.attacked(seed, quick, progress))
    if not views:
        return _none("no attack changed the model's answer on enough rows")
    made = Examples(View(train.batch, chunked), views, {} if wear is None else sources.worn(wear, seed))
    return Made(made, (_told(made),), sources)


@dataclass(frozen=True, slots=True)
class Sources:
    """Rows that the model gets right, the classes `y` (n,) that it gives them, and what it takes to attack them."""

    network: Network
    feasible: Feasible
    batch: Batch
    y: Array
    backend: Chunked

    def attacked(self, seed: int, quick: bool, progress: Progress) -> Iterator[tuple[str, View]]:
        """For each attack by name, the rows that the backend itself takes for another class."""
        from attacks.making import attacked

        made = attacked(self.network, self.feasible, self.batch, self.y, seed=seed, quick=quick, tell=progress)
        for attack in made:
            if (view := self.won(attack)) is not None:
                yield attack.name, view

    def won(self, attack: Attacked) -> View | None:
        """The attacked rows that the backend itself takes for another class; None for few."""
        rows = self.batch.take(attack.of).with_x(attack.x)
        won = np.flatnonzero(_classes(self.backend, rows) != self.y[attack.of])
        return View(rows.take(won), self.backend) if len(won) >= FEW_ROWS else None

    def worn(self, wear: Wear, seed: int) -> dict[str, View]:
        """By kind of wear, rows that it left what they were to the model."""
        made = wear.each(self.batch, self.backend, seed)
        return {kind: View(rows, self.backend) for kind, rows in made.items() if len(rows) >= FEW_ROWS}


def _none(why: str) -> Made:
    return Made(None, (f"no attacks to learn from: {why}",))


def _told(made: Examples) -> str:
    counts = ", ".join(f"{len(view)} by {name}" for name, view in made.attacked.items())
    worn = f" and {sum(map(len, made.worn.values()))} of mild wear" if made.worn else ""
    return f"trained on {len(made.honest)} honest rows{worn}, and on attacks that fooled the model: {counts}"


def _some(batch: Batch, seed: int) -> Batch:
    rows = np.random.default_rng(seed).permutation(len(batch))[:_RULES_ROWS]
    return batch.take(np.sort(rows))


def _classes(backend: Chunked, batch: Batch) -> Array:
    logits = backend.predict(batch).logits
    assert logits is not None, "a network with gradients has logits"
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)
